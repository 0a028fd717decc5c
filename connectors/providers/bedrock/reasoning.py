"""A model's thoughts with their signatures: where they stand in OpenAI's shape, and how they go back.

Claude's stand as Anthropic's own provider writes them, since a signature is good wherever the model runs: a
conversation may change between the two, and Anthropic's clients find them. Other models' stand as Bedrock has them.
Source: Amazon Bedrock API Reference, "ReasoningContentBlock"; Anthropic's page "Extended thinking" on signatures.
"""

from __future__ import annotations

from connectors.providers.anthropic.messages import anthropic_content
from connectors.providers.anthropic.response import write_thinking_blocks
from connectors.providers.bedrock.models import claude_traits
from connectors.providers.wire.json_access import object_at, objects_of
from schemas.json_types import JsonObject


def from_converse(model: str, blocks: list[JsonObject]) -> JsonObject:
    """Write Bedrock's reasoningContent blocks into a message's extra_content."""
    if claude_traits(model) is None:
        return {"bedrock": {"reasoning": list(blocks)}}
    return write_thinking_blocks([_to_anthropic(block) for block in blocks])


def to_converse(model: str, message: JsonObject) -> list[JsonObject]:
    """Find the blocks in a message again; those of another family's models stay where they are."""
    if claude_traits(model) is not None:
        blocks = anthropic_content(message).get("thinking_blocks")
        return [kept for block in objects_of(blocks) if (kept := _from_anthropic(block))]
    return objects_of(object_at(message.get("extra_content"), "bedrock").get("reasoning"))


def _to_anthropic(block: JsonObject) -> JsonObject:
    if "redactedContent" in block:
        return {"type": "redacted_thinking", "data": block["redactedContent"]}
    said = object_at(block, "reasoningText")
    return {"type": "thinking", "thinking": said.get("text", ""), "signature": said.get("signature", "")}


def _from_anthropic(block: JsonObject) -> JsonObject:
    match block:
        case {"type": "thinking", "thinking": str(text), "signature": str(signature)} if signature:
            return {"reasoningText": {"text": text, "signature": signature}}
        case {"type": "redacted_thinking", "data": str(data)} if data:
            return {"redactedContent": data}
    return {}
