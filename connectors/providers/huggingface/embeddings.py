"""Embeddings of the router's own provider, hf-inference, which does not speak OpenAI's words for them.

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
"""A model's name on the Hub: it becomes a part of the path, so nothing else may."""


def pipeline_path(call: ProviderCall) -> str:
    """Where the model is.

    Raises:
        ProviderError: invalid_request, for a provider other than hf-inference, or what is no model's name.

    """
    model, _, provider = call.model.partition(":")
    if provider not in {"", "hf-inference"}:
        raise invalid_parameter(
            "model", f"embeddings through huggingface are made by hf-inference only, not by {provider}"
        )
    if not MODEL.fullmatch(model):
        raise invalid_parameter("model", "the model's name must be that of a model on the Hub, as org/name")
    return PATH.format(model=model)


def write_inputs(call: ProviderCall) -> tuple[JsonObject, list[Change]]:
    """Write the inputs: always a list, so that a list comes back.

    Raises:
        ProviderError: invalid_request, for token ids.

    """
    texts = text_inputs(call, "huggingface")
    change = Change(param="encoding_format", action="transformed", detail="encoded by the gateway")
    return {"inputs": texts}, [change] if call.body.get("encoding_format") == "base64" else []


def read_vectors(call: ProviderCall, body: Any) -> ProviderAnswer:  # noqa: ANN401 - JSON of any shape
    """Read a list of vectors; nobody says how many tokens they cost.

    Raises:
        ProviderError: server, if it is no such list.

    """
    if not isinstance(body, list) or not all(_is_vector(vector) for vector in body):
        reason = "the body is no list of vectors: is this a model for embeddings?"
        raise ProviderError("server", f"HTTP 200, but {reason}", http_status=200)
    answer = embeddings_body(call.model, body, 0)
    return ProviderAnswer(answer, 200, Usage(), response_model=call.model)


def _is_vector(value: object) -> bool:
    return isinstance(value, list) and all(isinstance(number, int | float) for number in value)
