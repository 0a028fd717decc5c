"""Translation of OpenAI's embeddings for the three model families of Bedrock.

All are called by InvokeModel, with a body format per family. Source: Amazon Bedrock User
Guide, "Amazon Titan Embeddings", "Cohere Embed"; Amazon Nova User Guide, "Complete embeddings request schema".
"""

from __future__ import annotations

import fnmatch
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

from connectors.providers.bedrock.parameters import EMBEDDINGS
from connectors.providers.parameters import invalid_parameter
from connectors.providers.provider import ProviderAnswer, ProviderCall, ProviderError
from connectors.providers.wire.embeddings import embeddings_body, text_inputs
from connectors.providers.wire.json_access import as_object, object_at
from schemas.events.parts import Change, Usage
from schemas.json_types import JsonObject
from schemas.openai.embedding_vectors import is_vector

TOKENS_HEADER = "x-amzn-bedrock-input-token-count"


@dataclass(frozen=True, slots=True)
class EmbeddingFamily:
    """Format of one model family."""

    dimensions: tuple[int, ...]
    """Supported sizes; empty if there is only one."""
    write: Callable[[list[str], JsonObject], JsonObject]
    """Writes the body from the texts and the other parameters."""
    read: Callable[[JsonObject], object]
    """Reads the vectors from an answer."""


def _write_titan(texts: list[str], parameters: JsonObject) -> JsonObject:
    return {"inputText": _single_text(texts), **parameters}


def _write_cohere(texts: list[str], parameters: JsonObject) -> JsonObject:
    renamed = {"output_dimension" if name == "dimensions" else name: value for name, value in parameters.items()}
    return {"texts": texts, "truncate": "NONE", "embedding_types": ["float"], **renamed}


def _write_nova(texts: list[str], parameters: JsonObject) -> JsonObject:
    size = {"embeddingDimension": parameters["dimensions"]} if "dimensions" in parameters else {}
    text = {"truncationMode": "NONE", "value": _single_text(texts)}
    return {
        "taskType": "SINGLE_EMBEDDING",
        "singleEmbeddingParams": {"embeddingPurpose": "GENERIC_INDEX", **size, "text": text},
    }


def _single_text(texts: list[str]) -> str:
    """Return the only text. The body has no place for a second one, whatever limit is configured."""
    if len(texts) != 1:
        raise invalid_parameter(
            "input", "input must be one text per call for this model; do not raise its configured limit on inputs"
        )
    return texts[0]


def _read_cohere(body: JsonObject) -> object:
    return object_at(body, "embeddings").get("float") or body.get("embeddings")


def _read_nova(body: JsonObject) -> object:
    found = body.get("embeddings")
    return [as_object(row).get("embedding") for row in found] if isinstance(found, list) else None


FAMILIES: tuple[tuple[str, EmbeddingFamily], ...] = (
    (
        "*amazon.titan-embed-text-v2*",
        EmbeddingFamily((256, 512, 1024), _write_titan, lambda body: [body.get("embedding")]),
    ),
    ("*amazon.titan-embed-*text*", EmbeddingFamily((), _write_titan, lambda body: [body.get("embedding")])),
    ("*cohere.embed-v4*", EmbeddingFamily((256, 512, 1024, 1536), _write_cohere, _read_cohere)),
    ("*cohere.embed*", EmbeddingFamily((), _write_cohere, _read_cohere)),
    ("*amazon.nova*embed*", EmbeddingFamily((256, 384, 1024, 3072), _write_nova, _read_nova)),
)
"""Families by shell pattern of the model's id; the first match applies."""


def write_embeddings(call: ProviderCall, input_type: str) -> tuple[JsonObject, list[Change]]:
    """Write the request body, and its differences from the caller's request.

    Args:
        call: the call to translate.
        input_type: default of the request's ``input_type``, which Cohere's models require.

    Raises:
        ProviderError: invalid_request, naming the unsupported parameter.

    """
    family = _family(call.model)
    applied = EMBEDDINGS.apply(call.body, call.model)
    parameters: JsonObject = {"input_type": input_type, **applied.passed} if family.write is _write_cohere else {}
    if "dimensions" in applied.transform:
        parameters["dimensions"] = _dimensions(call.model, family, applied.transform["dimensions"])
        applied.changes.append(Change(param="dimensions", action="transformed", detail="the model's own name for it"))
    if applied.transform.get("encoding_format") == "base64":
        detail = EMBEDDINGS.rules["encoding_format"].reason
        applied.changes.append(Change(param="encoding_format", action="transformed", detail=detail))
    return family.write(text_inputs(call, "bedrock"), parameters), applied.changes


def read_embeddings(call: ProviderCall, body: Any, headers: Mapping[str, str]) -> ProviderAnswer:  # noqa: ANN401 - JSON of any shape
    """Translate a response with status 200.

    Raises:
        ProviderError: server, if it does not contain one vector for each text.

    """
    family = _family(call.model)
    vectors = family.read(body) if isinstance(body, dict) else None
    if not isinstance(vectors, list) or len(vectors) != len(text_inputs(call, "bedrock")):
        raise ProviderError("server", "HTTP 200, but without one embedding for each input", http_status=200)
    if not all(is_vector(vector) for vector in vectors):
        raise ProviderError("server", "HTTP 200, but an embedding is not a list of numbers", http_status=200)
    tokens = _input_tokens(body, headers)
    return ProviderAnswer(
        body=embeddings_body(call.model, vectors, tokens),
        http_status=200,
        usage=Usage(input_tokens=tokens),
        response_id=headers.get("x-amzn-requestid", ""),
        response_model=call.model,
    )


def _family(model: str) -> EmbeddingFamily:
    found = next((family for pattern, family in FAMILIES if fnmatch.fnmatchcase(model, pattern)), None)
    if found is None:
        raise invalid_parameter("model", f"bedrock/{model} is not a supported embedding model (Titan, Cohere or Nova)")
    return found


def _dimensions(model: str, family: EmbeddingFamily, dimensions: object) -> object:
    if dimensions not in family.dimensions:
        sizes = f"one of {', '.join(map(str, family.dimensions))}" if family.dimensions else "left out"
        raise invalid_parameter("dimensions", f"dimensions must be {sizes} for bedrock/{model}")
    return dimensions


def _input_tokens(body: JsonObject, headers: Mapping[str, str]) -> int:
    """Return the token count: Titan's in the body, the others' in a header."""
    counted = str(body.get("inputTextTokenCount", headers.get(TOKENS_HEADER)))
    return int(counted) if counted.isdecimal() else 0
