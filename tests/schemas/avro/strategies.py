"""Hypothesis strategies for event classes."""

from __future__ import annotations

from dataclasses import fields
from types import NoneType, UnionType
from typing import Annotated, Any, Literal, Union, get_args, get_origin, get_type_hints

from hypothesis import strategies as st

from schemas.events.parts import Part

SCALARS = {
    str: st.text(),
    bytes: st.binary(),
    int: st.integers(-(2**63), 2**63 - 1),
    float: st.floats(allow_nan=False),
    bool: st.booleans(),
}


def _values(hint: Any) -> st.SearchStrategy[Any]:
    """Return a strategy of all values that a field of this type may hold."""
    if hint in SCALARS:
        return SCALARS[hint]
    origin, arguments = get_origin(hint), get_args(hint)
    if origin is Annotated:
        return _values(arguments[0])
    if origin in (Union, UnionType):
        return st.one_of(*(st.none() if argument is NoneType else _values(argument) for argument in arguments))
    if origin is Literal:
        return st.sampled_from(arguments)
    if origin is tuple:
        return st.lists(_values(arguments[0]), max_size=2).map(tuple)
    if origin is dict:
        return st.dictionaries(_values(arguments[0]), _values(arguments[1]), max_size=2)
    return instances_of(hint)


def instances_of(model: type[Part]) -> st.SearchStrategy[Any]:
    """Return a strategy of instances of an event class, or of a part of one."""
    hints = get_type_hints(model, include_extras=True)
    return st.builds(model, **{field.name: _values(hints[field.name]) for field in fields(model)})
