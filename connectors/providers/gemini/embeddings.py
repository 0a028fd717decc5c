"""Translation of OpenAI's embeddings for Gemini.

Source: Gemini API, "Embeddings" (batchEmbedContents). Answers of most models have no token count. Vectors are not
normalized: one that is shortened by ``dimensions`` does not have length 1.
"""

from __future__ import annotations

from typing import Any

from connectors.providers.gemini.candidate import read_usage
from connectors.providers.gemini.parameters import EMBEDDINGS
from connectors.providers.provider import ProviderAnswer, ProviderCall, ProviderError
from connectors.providers.wire.embeddings import embeddings_body, text_inputs
from connectors.providers.wire.json_access import as_object
from schemas.events.parts import Change, Usage
from schemas.json_types import JsonObject
from schemas.openai.embedding_vectors import is_vector


def write_embeddings(call: ProviderCall, model: str) -> tuple[JsonObject, list[Change]]:
    """Write one request per text.

    Raises:
        ProviderError: invalid_request, naming the unsupported parameter.

    """
    applied = EMBEDDINGS.apply(call.body, call.model)
    texts = text_inputs(call, "gemini")
    requests = [{"model": model, "content": {"parts": [{"text": text}]}, **applied.passed} for text in texts]
    if "encoding_format" in applied.transform:
        detail = EMBEDDINGS.rules["encoding_format"].reason
        applied.changes.append(Change(param="encoding_format", action="transformed", detail=detail))
    return {"requests": requests}, applied.changes


def read_embeddings(call: ProviderCall, body: Any) -> ProviderAnswer:  # noqa: ANN401 - JSON of any shape
    """Translate the answer.

    Raises:
        ProviderError: server, if it does not contain one vector for each text.

    """
    found = body.get("embeddings") if isinstance(body, dict) else None
    if not isinstance(found, list) or len(found) != len(text_inputs(call, "gemini")):
        raise ProviderError("server", "HTTP 200, but without one embedding for each input", http_status=200)
    vectors = [_vector(item) for item in found]
    native = body.get("usageMetadata")
    usage = read_usage(native) if isinstance(native, dict) else Usage()
    return ProviderAnswer(
        body=embeddings_body(call.model, vectors, usage.input_tokens),
        http_status=200,
        usage=usage,
        response_model=call.model,
        native_usage=native if isinstance(native, dict) else None,
    )


def _vector(item: object) -> list[float]:
    values = as_object(item).get("values")
    if not is_vector(values):
        raise ProviderError("server", "HTTP 200, but an embedding is not a list of numbers", http_status=200)
    return values
