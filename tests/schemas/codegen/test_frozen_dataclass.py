from __future__ import annotations

import dataclasses

import pytest

from schemas.codegen.frozen_dataclass import frozen_slots


@frozen_slots
class Point:
    x: int
    y: int = 0


@frozen_slots(kw_only=True)
class Named:
    x: int = 0
    y: int


def test_keyword_only_fields_with_defaults_may_precede_required_ones() -> None:
    assert Named(y=1) == Named(x=0, y=1)
    with pytest.raises(TypeError):
        Named(0, 1)  # type: ignore[call-arg]


def test_frozen_dataclass_has_equality_hash_repr_and_replace() -> None:
    assert Point(1) == Point(1, 0) != Point(1, 1)
    assert {Point(1), Point(1, 0)} == {Point(1)}
    assert repr(Point(1)) == "Point(x=1, y=0)"
    assert dataclasses.replace(Point(1), y=2) == Point(1, 2)


def test_frozen_dataclass_has_no_other_attributes() -> None:
    with pytest.raises(AttributeError):
        Point(1).z = 3  # type: ignore[attr-defined]


def test_type_checkers_treat_the_dataclass_as_frozen() -> None:
    transform = frozen_slots.__dataclass_transform__  # type: ignore[attr-defined]

    assert (transform | transform["kwargs"])["frozen_default"] is True  # Python 3.11 has no parameter of this name
