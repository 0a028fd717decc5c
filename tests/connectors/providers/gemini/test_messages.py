from __future__ import annotations

import pytest

from connectors.providers.gemini.messages import write_contents
from connectors.providers.provider import ProviderError
from schemas.events.parts import Change
from schemas.json_types import JsonObject

HI: list[JsonObject] = [{"role": "user", "content": "hi"}]


@pytest.mark.parametrize(
    "messages",
    [
        [{"role": "system", "content": "alone"}],
        [*HI, {"role": "tool", "tool_call_id": "from nowhere", "content": "42"}],
        [*HI, {"role": "function", "name": "f", "content": "42"}],
        [*HI, {"role": "assistant", "tool_calls": [{"id": "1", "function": {"name": "f", "arguments": "[1]"}}]}],
        [{"role": "user", "content": [{"type": "image_url", "image_url": {"url": "http://host/a.png"}}]}],
        [{"role": "user", "content": [{"type": "image_url", "image_url": {"url": "data:image/svg+xml,<svg/>"}}]}],
        [{"role": "user", "content": [{"type": "file", "file": {"file_id": "file-1"}}]}],
    ],
)
def test_unsupported_message_is_refused(messages: list[JsonObject]) -> None:
    with pytest.raises(ProviderError) as caught:
        write_contents(messages, "gemini-2.5-flash", [])

    assert (caught.value.error_type, caught.value.param) == ("invalid_request", "messages")


def test_audio_and_files_are_sent_as_data() -> None:
    content = [
        {"type": "input_audio", "input_audio": {"data": "AAAA", "format": "wav"}},
        {"type": "file", "file": {"file_data": "data:application/pdf;base64,JVBERi0="}},
    ]

    contents, _ = write_contents([{"role": "user", "content": content}], "gemini-2.5-flash", [])

    assert contents[0]["parts"] == [
        {"inlineData": {"mimeType": "audio/wav", "data": "AAAA"}},
        {"inlineData": {"mimeType": "application/pdf", "data": "JVBERi0="}},
    ]


def test_older_model_gets_calls_without_a_signature() -> None:
    call = {"id": "1", "type": "function", "function": {"name": "f", "arguments": ""}}
    changes: list[Change] = []

    contents, _ = write_contents([*HI, {"role": "assistant", "tool_calls": [call]}], "gemini-2.5-flash", changes)

    assert contents[1]["parts"] == [{"functionCall": {"id": "1", "name": "f", "args": {}}}]
    assert changes == []


def test_system_messages_are_the_system_instruction() -> None:
    late = {"role": "developer", "content": [{"type": "text", "text": "Be brief."}]}

    contents, system = write_contents([*HI, late], "gemini-2.5-flash", [])

    assert contents == [{"role": "user", "parts": [{"text": "hi"}]}]
    assert system == [{"text": "Be brief."}]


def test_refusal_is_sent_as_text() -> None:
    contents, _ = write_contents([*HI, {"role": "assistant", "refusal": "No."}], "gemini-2.5-flash", [])

    assert contents[1] == {"role": "model", "parts": [{"text": "No."}]}


def test_signature_is_sent_without_text() -> None:
    signed = {"role": "assistant", "content": "", "extra_content": {"google": {"thought_signature": "c2ln"}}}

    contents, _ = write_contents([*HI, signed], "gemini-3-flash-preview", [])

    assert contents[1]["parts"] == [{"text": "", "thoughtSignature": "c2ln"}]


def test_participant_names_are_dropped_and_recorded() -> None:
    changes: list[Change] = []

    write_contents([{"role": "user", "content": "hi", "name": "ann"}], "gemini-2.5-flash", changes)

    assert [(change.param, change.action) for change in changes] == [("messages.name", "dropped")]
