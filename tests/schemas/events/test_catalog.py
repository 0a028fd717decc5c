from __future__ import annotations

import dataclasses
from typing import Any

import pytest
from pydantic import TypeAdapter, ValidationError

from schemas.events.catalog import EVENTS, AttemptStarted, Event, RequestAdmitted
from schemas.events.parts import Request
from tests.factories import admitted, make_request

STARTED: dict[str, Any] = {
    "request": make_request(),
    "attempt": 1,
    "provider": "p",
    "model": "m",
    "worker": "w",
    "started_at": 1,
    "expires_at": 2,
}


@pytest.mark.parametrize(
    "fields",
    [
        {name: value for name, value in STARTED.items() if name != "worker"},
        {**STARTED, "more": 1},
    ],
)
def test_event_constructor_refuses_missing_and_unknown_fields(fields: dict[str, Any]) -> None:
    with pytest.raises(TypeError):
        AttemptStarted(**fields)


@pytest.mark.parametrize("event", EVENTS)
def test_event_constructor_takes_keywords_only(event: type[Event]) -> None:
    assert all(field.kw_only for field in dataclasses.fields(event))


def test_default_labels_are_not_shared_between_events() -> None:
    fields = {field.name: getattr(admitted(), field.name) for field in dataclasses.fields(RequestAdmitted)}
    del fields["labels"]

    assert RequestAdmitted(**fields).labels is not RequestAdmitted(**fields).labels


def test_type_adapter_refuses_a_field_of_the_wrong_type() -> None:
    fields = dataclasses.asdict(make_request())

    assert TypeAdapter(Request).validate_python(fields) == Request(**{**fields, "reply_to": make_request().reply_to})
    with pytest.raises(ValidationError):
        TypeAdapter(Request).validate_python({**fields, "received_at": "yesterday"})


def test_event_has_no_attribute_beside_its_fields() -> None:
    with pytest.raises(AttributeError):
        AttemptStarted(**STARTED).more = 1  # type: ignore[attr-defined]
