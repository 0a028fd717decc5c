"""The inputs of an embeddings call as texts, and OpenAI's body for the vectors."""

from __future__ import annotations

from collections.abc import Iterable

from connectors.providers.parameters import invalid_parameter
from connectors.providers.provider import ProviderCall
from schemas.json_types import JsonObject


def text_inputs(call: ProviderCall, provider: str) -> list[str]:
    """Return the inputs of a call to a provider that accepts only text.

    Raises:
        ProviderError: invalid_request, for token ids.

    """
    given = call.body.get("input")
    inputs = given if isinstance(given, list) else [given]
    texts = [text for text in inputs if isinstance(text, str)]
    if len(texts) < len(inputs):
        raise invalid_parameter("input", f"input must be text for {provider}/{call.model}, which accepts no token ids")
    return texts


def embeddings_body(model: str, vectors: Iterable[object], input_tokens: int) -> JsonObject:
    """Write the answer as OpenAI does."""
    return {
        "object": "list",
        "data": [{"object": "embedding", "index": index, "embedding": vector} for index, vector in enumerate(vectors)],
        "model": model,
        "usage": {"prompt_tokens": input_tokens, "total_tokens": input_tokens},
    }
