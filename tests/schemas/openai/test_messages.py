from __future__ import annotations

from typing import Any

import pytest
from pydantic import TypeAdapter, ValidationError

from schemas.openai.messages import AssistantMessage, FunctionMessage, Message, PlainMessage, ToolMessage, UserMessage

MESSAGES: TypeAdapter[Any] = TypeAdapter(Message)


@pytest.mark.parametrize(
    ("role", "fields", "message_class"),
    [
        ("developer", {}, PlainMessage),
        ("system", {}, PlainMessage),
        ("user", {}, UserMessage),
        ("assistant", {}, AssistantMessage),
        ("tool", {"tool_call_id": "call_1"}, ToolMessage),
        ("function", {"name": "look_up"}, FunctionMessage),
    ],
)
def test_role_selects_the_message_class(role: str, fields: dict[str, str], message_class: type) -> None:
    message = MESSAGES.validate_python({"role": role, "content": "words", **fields})

    assert type(message) is message_class


@pytest.mark.parametrize("field", ["tool_calls", "refusal", "function_call", "audio"])
def test_assistant_message_without_content_needs_another_field(field: str) -> None:
    values = {
        "tool_calls": [{"id": "1", "type": "custom", "custom": {"name": "run", "input": "ls"}}],
        "refusal": "no",
        "function_call": {"name": "f", "arguments": "{}"},
        "audio": {"id": "audio_1"},
    }

    MESSAGES.validate_python({"role": "assistant", field: values[field]})
    with pytest.raises(ValidationError):
        MESSAGES.validate_python({"role": "assistant", field: None})
