"""A model's thoughts with their signatures: where they stand in OpenAI's shape, and how they go back.

Claude's stand as Anthropic's own provider writes them, since a signature is good wherever the model runs: a
conversation may change between the two, and Anthropic's clients find them. Other models' stand as Bedrock has them.
Source: Amazon Bedrock API Reference, "ReasoningContentBlock"; Anthropic's page "Extended thinking" on signatures.
"""

from __future__ import annotations

from connectors.providers.anthropic.messages import extra
from connectors.providers.anthropic.response import signed
from connectors.providers.bedrock.models import claude
from connectors.providers.wire.chunk_assembly import JSON


def from_converse(model: str, blocks: list[JSON]) -> JSON:
    """Write Bedrock's reasoningContent blocks into a message's extra_content."""
    if claude(model) is None:
        return {"bedrock": {"reasoning": list(blocks)}}
    return signed([_to_anthropic(block) for block in blocks])


def to_converse(model: str, message: JSON) -> list[JSON]:
    """Find the blocks in a message again; those of another family's models stay where they are."""
    if claude(model) is not None:
        blocks = extra(message).get("thinking_blocks")
        return [kept for block in _objects(blocks) if (kept := _from_anthropic(block))]
    extras = message.get("extra_content")
    own = extras.get("bedrock") if isinstance(extras, dict) else None
    return _objects(own.get("reasoning")) if isinstance(own, dict) else []


def _to_anthropic(block: JSON) -> JSON:
    if "redactedContent" in block:
        return {"type": "redacted_thinking", "data": block["redactedContent"]}
    thought = block.get("reasoningText")
    said = thought if isinstance(thought, dict) else {}
    return {"type": "thinking", "thinking": said.get("text", ""), "signature": said.get("signature", "")}


def _from_anthropic(block: JSON) -> JSON:
    match block:
        case {"type": "thinking", "thinking": str(text), "signature": str(signature)} if signature:
            return {"reasoningText": {"text": text, "signature": signature}}
        case {"type": "redacted_thinking", "data": str(data)} if data:
            return {"redactedContent": data}
    return {}


def _objects(blocks: object) -> list[JSON]:
    return [block for block in blocks if isinstance(block, dict)] if isinstance(blocks, list) else []
