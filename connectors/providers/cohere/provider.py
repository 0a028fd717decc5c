"""Cohere's own API, version 2: chat and embeddings.

Source: Cohere's API reference (v2 Chat, v2 Embed, Errors) and its rate limit page. POST {base_url}/v2/chat and
/v2/embed, a bearer key. Usage has processed tokens (``tokens``) and billed tokens (``billed_units``, without Cohere's
own preamble): ours is the billed one, and the native usage has both.
"""

from __future__ import annotations

import struct
import time
from collections.abc import Mapping
from typing import Any, ClassVar, Literal

from pydantic import Field

from connectors.http_client import Response
from connectors.providers.cohere import request as cohere_request
from connectors.providers.cohere import response as cohere_response
from connectors.providers.cohere.stream import CohereStreamDecoder
from connectors.providers.parameters import PASS, TRANSFORM, ParameterRules, Rule, drop, refuse
from connectors.providers.provider import ProviderAnswer, ProviderCall, ProviderError
from connectors.providers.settings import BASE_URL, HeaderSecret, ProviderSettings
from connectors.providers.wire.errors import MAX_RETRY_AFTER_S, parse_error
from connectors.providers.wire.http_provider import HttpProvider, ProviderRequest, StreamDecoder
from schemas.events.vocabulary import Operation

HOST = "https://api.cohere.com"

PATHS: dict[Operation, str] = {"chat": "/v2/chat", "embeddings": "/v2/embed"}

CHAT = ParameterRules(
    "cohere",
    {
        "temperature": Rule("pass", low=0),
        "top_p": Rule("rename", "p", low=0.01, high=0.99),
        "top_k": Rule("rename", "k", low=0, high=500),
        "k": Rule("pass", low=0, high=500),
        "frequency_penalty": Rule("pass", low=0, high=1),
        "presence_penalty": Rule("pass", low=0, high=1),
        "max_tokens": PASS,
        "max_completion_tokens": Rule("rename", "max_tokens"),
        "seed": Rule("pass", low=0),
        "stop": Rule("transform", "stop_sequences"),
        "tools": TRANSFORM,
        "tool_choice": Rule("transform", reason="a named tool becomes REQUIRED, with only that tool offered"),
        "parallel_tool_calls": refuse("it cannot limit the answer to one call", default=True),
        "response_format": Rule("transform", reason="json_object, with or without a schema; not together with tools"),
        "reasoning_effort": Rule(
            "transform", "thinking", reason="none disables it, every other value enables it: it has no levels"
        ),
        "modalities": refuse("it returns only text", default=["text"]),
        "logprobs": PASS,
        "top_logprobs": refuse("it returns only the chosen token's log probability", default=0),
        "n": refuse("it returns one answer per call", default=1),
        "logit_bias": refuse("it has no token bias", default={}),
        "functions": refuse("use tools"),
        "function_call": refuse("use tool_choice"),
        "audio": refuse("it returns no audio"),
        "web_search_options": refuse("it does not search the web"),
        "thinking": PASS,
        "documents": PASS,
        "citation_options": PASS,
        "safety_mode": PASS,
        "strict_tools": PASS,
        "user": drop("it has no field for the end user"),
        "safety_identifier": drop("it has no field for the end user"),
        "metadata": drop("it accepts no labels"),
        "store": drop("it stores no answers", default=False),
        "service_tier": drop("it has no tiers", default="auto"),
        "prompt_cache_key": drop("it manages its own cache"),
        "prediction": drop("it accepts no prediction"),
        "verbosity": drop("it has no such setting", default="medium"),
    },
)

EMBEDDINGS = ParameterRules(
    "cohere",
    {
        "dimensions": Rule("rename", "output_dimension", low=256, high=1536, reason="256, 512, 1024 and 1536 only"),
        "encoding_format": Rule("transform", reason="the gateway encodes the vectors as base64", default="float"),
        "input_type": PASS,
        "truncate": PASS,
        "user": drop("it has no field for the end user"),
        "metadata": drop("it accepts no labels"),
    },
    models=(("embed-*-v3.0", {"dimensions": refuse("its vectors have a fixed size")}),),
)

PARAMETERS: Mapping[Operation, ParameterRules] = {"chat": CHAT, "embeddings": EMBEDDINGS}


class CohereSettings(ProviderSettings):
    """Settings of Cohere."""

    kind: Literal["cohere"] = "cohere"
    base_url: str = Field(default=HOST, pattern=BASE_URL)
    api_key: HeaderSecret
    input_type: Literal["search_document", "search_query", "classification", "clustering"] = "search_document"
    """Purpose of embeddings, for requests without ``input_type``; Cohere requires it."""


class Cohere(HttpProvider):
    """Cohere, version 2 of its API."""

    Settings: ClassVar[type[ProviderSettings]] = CohereSettings

    def __init__(self, name: str, settings: ProviderSettings) -> None:
        assert isinstance(settings, CohereSettings)
        headers = {"authorization": f"Bearer {settings.api_key.get_secret_value()}", "x-client-name": "sluice"}
        super().__init__(name, settings, headers, settings.api_key)
        self._input_type = settings.input_type

    def to_request(self, call: ProviderCall) -> ProviderRequest:
        """See ``HttpProvider``."""
        applied = PARAMETERS[call.operation].apply(call.body, call.model)
        if call.operation == "chat":
            body = cohere_request.write_chat(call, applied)
        else:
            body = cohere_request.write_embeddings(call, applied, self._input_type)
        return ProviderRequest(PATHS[call.operation], body, changes=applied.changes)

    def from_response(self, call: ProviderCall, body: Any, response: Response) -> ProviderAnswer:  # noqa: ANN401 - JSON of any shape
        """See ``HttpProvider``."""
        try:
            return cohere_response.READERS[call.operation](call, body, response)
        except (AttributeError, KeyError, TypeError, ValueError, struct.error):
            raise ProviderError(
                "server", "HTTP 200, but the answer is not in Cohere's format", http_status=200
            ) from None

    def stream_decoder(self, call: ProviderCall) -> StreamDecoder:
        """See ``HttpProvider``."""
        return CohereStreamDecoder(call)

    def to_error(self, response: Response) -> ProviderError:
        """Classify an error. Cohere has no codes: only the text distinguishes a monthly limit from one per minute."""
        error = parse_error(response.status, response.headers, response.content)
        if error.error_type == "rate_limited" and "month" in error.message.lower():
            error.error_type = "quota_exhausted"
        error.retry_after_s = error.retry_after_s or _reset_s(response.headers)
        return error


def _reset_s(headers: Mapping[str, str]) -> float | None:
    """Return the seconds until X-RateLimit-Reset, which is in Unix seconds."""
    try:
        seconds = float(headers.get("x-ratelimit-reset", "")) - time.time()
    except ValueError:
        return None
    return seconds if 0 < seconds <= MAX_RETRY_AFTER_S else None
