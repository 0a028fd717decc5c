from __future__ import annotations

from typing import Any

import pytest
from pydantic import BaseModel, ConfigDict, ValidationError

from schemas.codegen.unchecked_init import unchecked_init
from schemas.events.catalog import AttemptStarted
from schemas.events.parts import ReplyTo, Request
from tests.factories import make_request


class Checked(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid")

    name: str
    number: int = 3
    reply_to: ReplyTo | None = None


@unchecked_init
class Believed(Checked):
    pass


@pytest.mark.parametrize(
    "fields", [{"name": "a"}, {"name": "a", "number": 4}, {"name": "a", "reply_to": ReplyTo(topic="t", partition=1)}]
)
def test_what_is_believed_is_what_would_have_been_checked(fields: dict[str, Any]) -> None:
    believed = Believed(**fields)

    assert believed.model_dump() == Checked(**fields).model_dump()
    assert believed == Believed.model_validate(fields)
    assert hash(believed) == hash(Believed.model_validate(fields))
    assert believed.model_copy(update={"number": 9}) == Believed(**{**fields, "number": 9})


@pytest.mark.parametrize("fields", [{}, {"number": 1}, {"name": "a", "more": 1}])
def test_a_field_that_is_missing_or_unknown_is_an_error(fields: dict[str, Any]) -> None:
    with pytest.raises(TypeError):
        Believed(**fields)


def test_what_comes_from_outside_is_checked_as_ever() -> None:
    with pytest.raises(ValidationError):
        Believed.model_validate({"name": 1})
    with pytest.raises(ValidationError):
        Request.model_validate({**make_request().model_dump(), "received_at": "yesterday"})


def test_nobody_may_change_it() -> None:
    started = AttemptStarted(
        request=make_request(), attempt=1, provider="p", model="m", worker="w", started_at=1, expires_at=2
    )

    with pytest.raises(ValidationError, match="frozen"):
        started.attempt = 2  # type: ignore[misc]
