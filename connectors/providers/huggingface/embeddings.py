"""Embeddings of the router's own provider, hf-inference, which has another format than OpenAI's.

Source: Inference Providers, "Feature Extraction": POST /hf-inference/models/{model}/pipeline/feature-extraction.
"""

from __future__ import annotations

import re
from typing import Any

from connectors.providers.parameters import invalid_parameter
from connectors.providers.provider import ProviderAnswer, ProviderCall, ProviderError
from connectors.providers.wire.embeddings import embeddings_body, text_inputs
from schemas.events.parts import Change, Usage
from schemas.json_types import JsonObject

PATH = "/hf-inference/models/{model}/pipeline/feature-extraction"

MODEL = re.compile(r"[\w-][\w.-]*(/[\w-][\w.-]*)?", re.ASCII)
"""A model's name on the Hub. It is part of the path, so no other characters are allowed."""


def pipeline_path(call: ProviderCall) -> str:
    """Return the path of the model.

    Raises:
        ProviderError: invalid_request, for a provider other than hf-inference, or an invalid model name.

    """
    model, _, provider = call.model.partition(":")
    if provider not in {"", "hf-inference"}:
        raise invalid_parameter("model", f"huggingface supports embeddings by hf-inference only, not by {provider}")
    if not MODEL.fullmatch(model):
        raise invalid_parameter("model", "model must be the name of a model on the Hub, as org/name")
    return PATH.format(model=model)


def write_inputs(call: ProviderCall) -> tuple[JsonObject, list[Change]]:
    """Write the inputs, always as a list, so that the answer is a list.

    Raises:
        ProviderError: invalid_request, for token ids.

    """
    texts = text_inputs(call, "huggingface")
    change = Change(param="encoding_format", action="transformed", detail="encoded by the gateway")
    return {"inputs": texts}, [change] if call.body.get("encoding_format") == "base64" else []


def read_vectors(call: ProviderCall, body: Any) -> ProviderAnswer:  # noqa: ANN401 - JSON of any shape
    """Translate a list of vectors; the answer has no token count.

    Raises:
        ProviderError: server, if it is not a list of vectors.

    """
    if not isinstance(body, list) or not all(_is_vector(vector) for vector in body):
        reason = "the body is not a list of vectors; the model may not be an embedding model"
        raise ProviderError("server", f"HTTP 200, but {reason}", http_status=200)
    answer = embeddings_body(call.model, body, 0)
    return ProviderAnswer(answer, 200, Usage(), response_model=call.model)


def _is_vector(value: object) -> bool:
    return isinstance(value, list) and all(isinstance(number, int | float) for number in value)
