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


def test_unknown_members_are_removed_and_recorded() -> None:
    messages, changes = with_known_names(MESSAGES, SERVER_NAMES)

    assert messages == [MESSAGES[0], {"role": "assistant", "content": "Hello!"}]
    assert [(c.param, c.action, c.detail) for c in changes] == [
        ("messages", "transformed", "without extra_content, reasoning_content")
    ]


def test_server_without_restrictions_gets_all_members() -> None:
    assert with_known_names(MESSAGES, None) == (MESSAGES, [])
