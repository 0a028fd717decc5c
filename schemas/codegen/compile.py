"""Compilation of generated Python source into functions."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any


def compile_function(name: str, lines: list[str], names: dict[str, Any]) -> Any:  # noqa: ANN401 - the function that the lines define
    """Compile lines that define a function of this name, and return it. The lines may use the given names."""
    exec("\n".join(lines), names)  # noqa: S102 - lines generated from the packaged schemas
    return names[name]


def indent(lines: Iterator[str], depth: int = 1) -> Iterator[str]:
    """Indent lines by a number of levels."""
    return (f"{'    ' * depth}{line}" for line in lines)
