"""What the lines that write and those that read have in common."""

from __future__ import annotations

from typing import Any

from schemas.avro.compiled.interning import InternTable

Schema = Any
"""A parsed JSON tree of an Avro schema, without logical types."""
INTERNED: dict[str, InternTable[Any]] = {"Request": InternTable(key=37), "Plan": InternTable(key=16)}
"""The classes whose parts are the same in one event after the other. A request is found by its id, with its length."""
LOW_7_BITS = 0x7F
"""The bits of a byte that count; the eighth says whether another byte follows."""


def intern_functions() -> dict[str, Any]:
    """What the lines call that find and keep such parts."""
    return {
        f"{what}_{name}": getattr(known, what)
        for name, known in INTERNED.items()
        for what in ("by_key", "by_id", "add")
    }
