"""Embeddings of the router's own provider, hf-inference, which does not speak OpenAI's words for them.

Source: Inference Providers, "Feature Extraction": POST /hf-inference/models/{model}/pipeline/feature-extraction.
"""

from __future__ import annotations

import re
from typing import Any

from connectors.providers.parameters import invalid
from connectors.providers.provider import ProviderAnswer, ProviderCall, ProviderError
from connectors.providers.wire.chunk_assembly import JSON
from schemas.events.parts import Change, Usage

PATH = "/hf-inference/models/{model}/pipeline/feature-extraction"

MODEL = re.compile(r"[\w-][\w.-]*(/[\w-][\w.-]*)?", re.ASCII)
"""A model's name on the Hub: it becomes a part of the path, so nothing else may."""


def path(call: ProviderCall) -> str:
    """Where the model is.

    Raises:
        ProviderError: invalid_request, for a provider other than hf-inference, or what is no model's name.

    """
    model, _, provider = call.model.partition(":")
    if provider not in {"", "hf-inference"}:
        raise invalid("model", f"embeddings through huggingface are made by hf-inference only, not by {provider}")
    if not MODEL.fullmatch(model):
        raise invalid("model", "the model's name must be that of a model on the Hub, as org/name")
    return PATH.format(model=model)


def content(call: ProviderCall) -> tuple[JSON, list[Change]]:
    """Write the inputs: always a list, so that a list comes back.

    Raises:
        ProviderError: invalid_request, for token ids.

    """
    given = call.body["input"]
    texts = given if isinstance(given, list) else [given]
    if not all(isinstance(text, str) for text in texts):
        raise invalid("input", f"input must be text for huggingface/{call.model}: token ids mean nothing to it")
    change = Change(param="encoding_format", action="transformed", detail="encoded by the gateway")
    return {"inputs": texts}, [change] if call.body.get("encoding_format") == "base64" else []


def read(call: ProviderCall, body: Any) -> ProviderAnswer:  # noqa: ANN401 - JSON of any shape
    """Read a list of vectors; nobody says how many tokens they cost.

    Raises:
        ProviderError: server, if it is no such list.

    """
    if not isinstance(body, list) or not all(_is_vector(vector) for vector in body):
        reason = "the body is no list of vectors: is this a model for embeddings?"
        raise ProviderError("server", f"HTTP 200, but {reason}", http_status=200)
    data = [{"object": "embedding", "index": index, "embedding": vector} for index, vector in enumerate(body)]
    usage = {"prompt_tokens": 0, "total_tokens": 0}
    answer = {"object": "list", "model": call.model, "data": data, "usage": usage}
    return ProviderAnswer(answer, 200, Usage(), response_model=call.model)


def _is_vector(value: object) -> bool:
    return isinstance(value, list) and all(isinstance(number, int | float) for number in value)
