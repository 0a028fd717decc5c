"""Translation of signed reasoning blocks between Bedrock's format and a message's extra_content.

Claude's blocks have the format of the Anthropic provider, because their signatures are valid on both: a conversation
may switch between the two, and Anthropic's clients find the blocks. Other models' blocks keep Bedrock's format.
Source: Amazon Bedrock API Reference, "ReasoningContentBlock"; Anthropic's page "Extended thinking" on signatures.
"""

from __future__ import annotations

from connectors.providers.anthropic.messages import anthropic_content
from connectors.providers.anthropic.response import write_thinking_blocks
from connectors.providers.bedrock.models import claude_traits
from connectors.providers.wire.json_access import object_at, objects_of
from schemas.json_types import JsonObject


def from_converse(model: str, blocks: list[JsonObject]) -> JsonObject:
    """Translate Bedrock's reasoningContent blocks into a message's extra_content."""
    if claude_traits(model) is None:
        return {"bedrock": {"reasoning": list(blocks)}}
    return write_thinking_blocks([_to_anthropic(block) for block in blocks])


def to_converse(model: str, message: JsonObject) -> list[JsonObject]:
    """Translate a message's blocks back; blocks of another model family are ignored."""
    if claude_traits(model) is not None:
        blocks = anthropic_content(message).get("thinking_blocks")
        return [kept for block in objects_of(blocks) if (kept := _from_anthropic(block))]
    return objects_of(object_at(message.get("extra_content"), "bedrock").get("reasoning"))


def _to_anthropic(block: JsonObject) -> JsonObject:
    if "redactedContent" in block:
        return {"type": "redacted_thinking", "data": block["redactedContent"]}
    reasoning = object_at(block, "reasoningText")
    return {"type": "thinking", "thinking": reasoning.get("text", ""), "signature": reasoning.get("signature", "")}


def _from_anthropic(block: JsonObject) -> JsonObject:
    match block:
        case {"type": "thinking", "thinking": str(text), "signature": str(signature)} if signature:
            return {"reasoningText": {"text": text, "signature": signature}}
        case {"type": "redacted_thinking", "data": str(data)} if data:
            return {"redactedContent": data}
    return {}
