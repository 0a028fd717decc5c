from __future__ import annotations

from typing import Any

import pytest

from streams.ingress.translators.anthropic.messages import openai_messages
from streams.ingress.translators.errors import UntranslatableError

JSON = dict[str, Any]

PNG = {"type": "image", "source": {"type": "base64", "media_type": "image/png", "data": "iVBORw0KGgo="}}
CACHED = {"type": "ephemeral"}


def said(content: object, role: str = "user") -> list[JSON]:
    return openai_messages(None, [{"role": role, "content": content}])


def test_system_blocks_keep_cache_control() -> None:
    system = [{"type": "text", "text": "Be brief.", "cache_control": CACHED}]

    messages = openai_messages(system, [{"role": "user", "content": "hi"}])

    assert messages[0] == {"role": "system", "content": system}


def test_images_and_documents_become_parts() -> None:
    url = {"type": "image", "source": {"type": "url", "url": "https://example.org/a.png"}}
    pdf = {"type": "base64", "media_type": "application/pdf", "data": "JVBERi0="}
    text = {"type": "text", "media_type": "text/plain", "data": "ä"}

    [message] = said(
        [PNG, url, {"type": "document", "source": pdf, "title": "a.pdf"}, {"type": "document", "source": text}]
    )

    assert message["content"] == [
        {"type": "image_url", "image_url": {"url": "data:image/png;base64,iVBORw0KGgo="}},
        {"type": "image_url", "image_url": {"url": "https://example.org/a.png"}},
        {"type": "file", "file": {"file_data": "data:application/pdf;base64,JVBERi0=", "filename": "a.pdf"}},
        {"type": "file", "file": {"file_data": "data:text/plain;base64,w6Q="}},
    ]


def test_assistant_message_keeps_thinking_text_and_tool_calls() -> None:
    thought = {"type": "thinking", "thinking": "Hm.", "signature": "EqQB"}
    call = {"type": "tool_use", "id": "t1", "name": "f", "input": {"a": 1}}

    [message] = said([thought, {"type": "text", "text": "I look."}, call], "assistant")

    assert message == {
        "role": "assistant",
        "content": [{"type": "text", "text": "I look."}],
        "reasoning_content": "Hm.",
        "extra_content": {"anthropic": {"thinking_blocks": [thought]}},
        "tool_calls": [{"id": "t1", "type": "function", "function": {"name": "f", "arguments": '{"a":1}'}}],
    }


def test_unsigned_thinking_becomes_reasoning_content() -> None:
    [message] = said([{"type": "thinking", "thinking": "Hm.", "signature": ""}], "assistant")

    assert message == {"role": "assistant", "content": None, "reasoning_content": "Hm."}


def test_tool_results_precede_the_user_message() -> None:
    messages = said(
        [
            {"type": "text", "text": "and?"},
            {"type": "tool_result", "tool_use_id": "t1", "content": "rain", "cache_control": CACHED},
            {"type": "tool_result", "tool_use_id": "t2", "content": [{"type": "text", "text": "a map"}, PNG]},
            {"type": "tool_result", "tool_use_id": "t3", "is_error": True},
        ]
    )

    assert messages == [
        {"role": "tool", "tool_call_id": "t1", "content": "rain", "cache_control": CACHED},
        {"role": "tool", "tool_call_id": "t2", "content": [{"type": "text", "text": "a map"}]},
        {
            "role": "tool",
            "tool_call_id": "t3",
            "content": "",
            "extra_content": {"anthropic": {"is_error": True}},
        },
        {
            "role": "user",
            "content": [
                {"type": "text", "text": "and?"},
                {"type": "image_url", "image_url": {"url": "data:image/png;base64,iVBORw0KGgo="}},
            ],
        },
    ]


def test_system_message_in_the_middle_keeps_its_position() -> None:
    messages = openai_messages(
        None,
        [{"role": "user", "content": "hi"}, {"role": "system", "content": [{"type": "text", "text": "Now brief."}]}],
    )

    assert messages[1] == {"role": "system", "content": [{"type": "text", "text": "Now brief."}]}


@pytest.mark.parametrize(
    ("message", "param"),
    [
        ("hi", "messages.0.role"),
        ({"role": "tool", "content": "hi"}, "messages.0.role"),
        ({"role": "user", "content": 7}, "messages.0.content"),
        ({"role": "user", "content": ["hi"]}, "messages.0.content"),
        ({"role": "user", "content": [{"text": "hi"}]}, "messages.0.content"),
        ({"role": "user", "content": [{"type": "text"}]}, "messages.0.content.0"),
        ({"role": "user", "content": [{"type": "container_upload"}]}, "messages.0.content.0"),
        ({"role": "user", "content": [{"type": "image", "source": {"type": "file"}}]}, "messages.0.content.0.source"),
        ({"role": "user", "content": [{"type": "tool_result"}]}, "messages.0.content.0.tool_use_id"),
        ({"role": "assistant", "content": [{"type": "tool_use"}]}, "messages.0.content"),
        ({"role": "assistant", "content": [PNG]}, "messages.0.content"),
        ({"role": "assistant", "content": [{"type": "server_tool_use"}]}, "messages.0"),
        ({"role": "system", "content": [PNG]}, "messages.0"),
    ],
)
def test_untranslatable_block_is_refused_by_its_path(message: object, param: str) -> None:
    with pytest.raises(UntranslatableError) as caught:
        openai_messages(None, [message])

    assert caught.value.param == param
