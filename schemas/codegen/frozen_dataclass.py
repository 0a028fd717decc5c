"""Classes of which thousands are made in a second: nobody may change one, and the type checker sees to that.

A frozen dataclass sees to it at run time, and takes 1.1 us for seven fields where this takes 0.4. In a call worker at
200 in flight that was a twentieth of all CPU.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TypeVar, dataclass_transform

T = TypeVar("T")


@dataclass_transform(frozen_default=True, field_specifiers=(field,))
def frozen_slots(cls: type[T]) -> type[T]:
    """Make a dataclass with slots that is compared and hashed by its fields, and frozen to the type checker."""
    return dataclass(slots=True, unsafe_hash=True)(cls)
