"""The messages of a request, without what a server would refuse: names in them that OpenAI does not have."""

from __future__ import annotations

from collections.abc import Sequence

from schemas.events.parts import Change
from schemas.json_types import JsonObject

OPENAI_NAMES = frozenset(
    {"role", "content", "name", "tool_calls", "tool_call_id", "function_call", "refusal", "audio", "annotations"}
)
"""OpenAI's own. Ours beside them, reasoning_content and extra_content, are for the providers that gave them."""

SERVER_NAMES = frozenset({"role", "content", "name", "tool_calls", "tool_call_id"})
"""What servers of open models take; some versions of vLLM refuse any other. Source: vLLM, OpenAI-compatible server."""


def with_known_names(
    messages: Sequence[JsonObject], names: frozenset[str] | None
) -> tuple[list[JsonObject], list[Change]]:
    """Leave out what a server does not know. None: it takes everything."""
    if names is None:
        return list(messages), []
    unknown = {name for message in messages for name, value in message.items() if value is not None} - names
    kept = [{name: value for name, value in message.items() if name in names} for message in messages]
    return kept, [messages_without(unknown)] if unknown else []


def messages_without(names: set[str]) -> Change:
    """What is missing of the messages, for the record."""
    return Change(param="messages", action="transformed", detail=f"without {', '.join(sorted(names))}")
