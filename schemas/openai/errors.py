"""Failures of invalid bodies as OpenAI reports them: the field's path and one sentence, without the caller's text."""

from __future__ import annotations

from typing import TYPE_CHECKING

from pydantic import ValidationError

from schemas.events.parts import Failure
from schemas.openai.tagged_unions import MARK, OWN, TAGGED
from schemas.validation_messages import WRONG_TYPE, WRONG_VALUE, describe

if TYPE_CHECKING:
    from pydantic_core import ErrorDetails

_CALLER_NAMED_KEYS = frozenset({"metadata", "logit_bias", "parameters"})
"""Objects whose keys the caller chooses: a path ends there."""


def invalid(code: str, message: str, param: str | None = None) -> Failure:
    """Return a failure that the caller can correct: HTTP 400."""
    return Failure(status=400, type="invalid_request_error", code=code, message=message, param=param)


def to_failure(error: ValidationError) -> Failure:
    """Return the failure of the first validation error."""
    first = error.errors(include_url=False, include_input=False)[0]
    param = _param(first)
    code, sentence = _sentence(first)
    return invalid(code, f"{param} {sentence}" if param else f"the body {sentence}", param or None)


def _param(detail: ErrorDetails) -> str:
    """Return the path as OpenAI writes it, for example ``messages[0].content``."""
    path = ""
    steps = list(detail["loc"])
    if detail["type"].startswith(TAGGED):
        steps.append(detail["type"].removeprefix(TAGGED))
    for step in steps:
        if isinstance(step, int):
            path += f"[{step}]"
        elif not step.startswith(MARK):
            path += f".{step}" if path else step
        if step in _CALLER_NAMED_KEYS:
            break
    return path


def _sentence(detail: ErrorDetails) -> tuple[str, str]:
    kind = detail["type"]
    if kind == "missing":
        return "missing_required_parameter", describe(detail)
    if kind in WRONG_TYPE:
        return "invalid_type", describe(detail)
    if kind in WRONG_VALUE:
        return "invalid_value", describe(detail)
    return "invalid_value", detail["msg"] if kind.startswith(OWN) else "is not valid"
