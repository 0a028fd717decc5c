"""Decorator for dataclasses with slots that are frozen to the type checker only.

``frozen=True`` checks at run time, and creates an object of seven fields in 1.1 us where this takes 0.4 us. In a call
worker at 200 in flight the difference was 5 % of all CPU.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import TypeVar, dataclass_transform, overload

T = TypeVar("T")


@overload
def frozen_slots(cls: type[T]) -> type[T]: ...
@overload
def frozen_slots(*, kw_only: bool) -> Callable[[type[T]], type[T]]: ...
@dataclass_transform(frozen_default=True, field_specifiers=(field,))
def frozen_slots(cls: type[T] | None = None, *, kw_only: bool = False) -> type[T] | Callable[[type[T]], type[T]]:
    """Make a dataclass with slots that is compared and hashed by its fields, and is frozen to the type checker."""
    decorate = dataclass(slots=True, unsafe_hash=True, kw_only=kw_only)
    return decorate if cls is None else decorate(cls)
