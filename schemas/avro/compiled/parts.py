"""Definitions that the generators of readers and writers share."""

from __future__ import annotations

from typing import Any

from schemas.avro.compiled.interning import InternTable

Schema = Any
"""A parsed JSON tree of an Avro schema, without logical types."""
INTERNED: dict[str, InternTable[Any]] = {"Request": InternTable(key=37), "Plan": InternTable(key=16)}
"""Intern table of each interned class. The prefix of a request is its id with its length."""
LOW_7_BITS = 0x7F
"""Mask of the value bits of a varint byte; the eighth bit says whether another byte follows."""


def intern_functions() -> dict[str, Any]:
    """Return the functions and tables of interning by the names that generated code uses."""
    return {
        f"{attribute}_{name}": getattr(table, attribute)
        for name, table in INTERNED.items()
        for attribute in ("by_key", "by_id", "add")
    }
