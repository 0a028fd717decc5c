from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from connectors.providers.mistral.messages import TOOL_CALL_ID, tool_call_id, write_messages


@given(st.text())
def test_any_id_becomes_valid_deterministically(given_id: str) -> None:
    written = tool_call_id(given_id)

    assert TOOL_CALL_ID.fullmatch(written)
    assert tool_call_id(given_id) == tool_call_id(written) == written


def test_different_ids_stay_different() -> None:
    ids = {tool_call_id(f"call_{number}") for number in range(10_000)}

    assert len(ids) == 10_000


def test_call_and_result_have_the_same_id() -> None:
    call = {"id": "call_abc123", "type": "function", "function": {"name": "f", "arguments": "{}"}}
    result = {"role": "tool", "tool_call_id": "call_abc123", "content": "42"}

    messages, changes = write_messages([{"role": "assistant", "content": None, "tool_calls": [call]}, result])

    assert messages[0]["tool_calls"][0]["id"] == messages[1]["tool_call_id"] != "call_abc123"
    assert [(change.param, change.action) for change in changes] == [("messages", "transformed")]


def test_accepted_messages_are_no_change() -> None:
    messages = [{"role": "system", "content": "Be brief."}, {"role": "user", "content": "hi"}]

    assert write_messages(messages) == (messages, [])


def test_reasoning_of_another_provider_is_dropped() -> None:
    said = {"role": "assistant", "content": "a", "reasoning_content": "b", "extra_content": {"anthropic": {}}}

    messages, changes = write_messages([said])

    assert messages == [{"role": "assistant", "content": "a"}]
    assert changes[0].detail == "without extra_content, reasoning_content"
