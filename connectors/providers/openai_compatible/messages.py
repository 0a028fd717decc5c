"""Removal of message members that a server does not accept."""

from __future__ import annotations

from collections.abc import Sequence

from schemas.events.parts import Change
from schemas.json_types import JsonObject

OPENAI_NAMES = frozenset(
    {"role", "content", "name", "tool_calls", "tool_call_id", "function_call", "refusal", "audio", "annotations"}
)
"""OpenAI's members. reasoning_content and extra_content are sent only to the providers that they came from."""

SERVER_NAMES = frozenset({"role", "content", "name", "tool_calls", "tool_call_id"})
"""Members that servers of open models accept; some versions of vLLM refuse others. Source: vLLM, OpenAI-compatible
server.
"""


def with_known_names(
    messages: Sequence[JsonObject], names: frozenset[str] | None
) -> tuple[list[JsonObject], list[Change]]:
    """Remove unknown members; None means that the server accepts everything."""
    if names is None:
        return list(messages), []
    unknown = {name for message in messages for name, value in message.items() if value is not None} - names
    kept = [{name: value for name, value in message.items() if name in names} for message in messages]
    return kept, [messages_without(unknown)] if unknown else []


def messages_without(names: set[str]) -> Change:
    """Return the record of the removed members."""
    return Change(param="messages", action="transformed", detail=f"without {', '.join(sorted(names))}")
