from __future__ import annotations

from connectors.providers.openai_compatible.messages import SERVER_NAMES, with_known_names
from schemas.json_types import JsonObject

MESSAGES: list[JsonObject] = [
    {"role": "user", "content": "hi", "name": "ada"},
    {
        "role": "assistant",
        "content": "Hello!",
        "refusal": None,
        "reasoning_content": "They greet.",
        "extra_content": {},
    },
]


def test_what_a_server_does_not_know_is_left_out_and_named_on_record() -> None:
    messages, changes = with_known_names(MESSAGES, SERVER_NAMES)

    assert messages == [MESSAGES[0], {"role": "assistant", "content": "Hello!"}]
    assert [(c.param, c.action, c.detail) for c in changes] == [
        ("messages", "transformed", "without extra_content, reasoning_content")
    ]


def test_a_server_that_takes_everything_gets_everything() -> None:
    assert with_known_names(MESSAGES, None) == (MESSAGES, [])
