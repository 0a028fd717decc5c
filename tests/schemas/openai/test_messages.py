from __future__ import annotations

from typing import Any

import pytest
from pydantic import TypeAdapter, ValidationError

from schemas.openai.messages import AssistantMessage, FunctionMessage, Message, PlainMessage, ToolMessage, UserMessage

MESSAGES: TypeAdapter[Any] = TypeAdapter(Message)


@pytest.mark.parametrize(
    ("role", "more", "shape"),
    [
        ("developer", {}, PlainMessage),
        ("system", {}, PlainMessage),
        ("user", {}, UserMessage),
        ("assistant", {}, AssistantMessage),
        ("tool", {"tool_call_id": "call_1"}, ToolMessage),
        ("function", {"name": "look_up"}, FunctionMessage),
    ],
)
def test_the_role_chooses_the_shape(role: str, more: dict[str, str], shape: type) -> None:
    message = MESSAGES.validate_python({"role": role, "content": "words", **more})

    assert type(message) is shape


@pytest.mark.parametrize("other", ["tool_calls", "refusal", "function_call", "audio"])
def test_a_model_that_said_nothing_must_have_done_something(other: str) -> None:
    done = {
        "tool_calls": [{"id": "1", "type": "custom", "custom": {"name": "run", "input": "ls"}}],
        "refusal": "no",
        "function_call": {"name": "f", "arguments": "{}"},
        "audio": {"id": "audio_1"},
    }

    MESSAGES.validate_python({"role": "assistant", other: done[other]})
    with pytest.raises(ValidationError):
        MESSAGES.validate_python({"role": "assistant", other: None})
