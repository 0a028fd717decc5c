"""Functions that are written out as Python by the program itself, each for the one shape that it has to do with."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any


def compile_function(name: str, lines: list[str], names: dict[str, Any]) -> Any:  # noqa: ANN401 - the function that it says
    """Turn lines into the function of this name, which they define; they may use these names."""
    exec("\n".join(lines), names)  # noqa: S102 - our own lines, made of our own schemas
    return names[name]


def indent(lines: Iterator[str], depth: int = 1) -> Iterator[str]:
    """Move lines so many levels to the right."""
    return (f"{'    ' * depth}{line}" for line in lines)
