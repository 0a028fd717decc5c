"""Cohere's own API, version 2: chat and embeddings.

The facts, from Cohere's API reference (v2 Chat, v2 Embed, Errors) and its rate limit page: POST {base_url}/v2/chat and
/v2/embed, a bearer key. Usage says what was processed (``tokens``) and what is paid for (``billed_units``, without
Cohere's own preamble): ours is what is paid for, the other stays in the native usage.
"""

from __future__ import annotations

import struct
import time
from collections.abc import Mapping
from typing import Any, ClassVar, Literal

from pydantic import Field

from connectors.http_client import Response
from connectors.providers.cohere import request as cohere_request
from connectors.providers.cohere import response as cohere_answer
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
        "parallel_tool_calls": refuse("one call at a time can't be promised", default=True),
        "response_format": Rule("transform", reason="json_object, with or without a schema; not together with tools"),
        "reasoning_effort": Rule("transform", "thinking", reason="none disables, all else enables: it has no levels"),
        "modalities": refuse("it writes, and nothing else", default=["text"]),
        "logprobs": PASS,
        "top_logprobs": refuse("only the chosen token's log probability is told", default=0),
        "n": refuse("it gives one answer per call", default=1),
        "logit_bias": refuse("no token can be preferred", default={}),
        "functions": refuse("this is the form before tools; use tools"),
        "function_call": refuse("this is the form before tools; use tool_choice"),
        "audio": refuse("it does not speak"),
        "web_search_options": refuse("it does not search"),
        "thinking": PASS,
        "documents": PASS,
        "citation_options": PASS,
        "safety_mode": PASS,
        "strict_tools": PASS,
        "user": drop("it takes no user"),
        "safety_identifier": drop("it takes no user"),
        "metadata": drop("it takes no labels"),
        "store": drop("it stores nothing for later", default=False),
        "service_tier": drop("it has no tiers", default="auto"),
        "prompt_cache_key": drop("it caches by itself"),
        "prediction": drop("it takes no prediction"),
        "verbosity": drop("it takes no wish for length", default="medium"),
    },
)

EMBEDDINGS = ParameterRules(
    "cohere",
    {
        "dimensions": Rule(
            "rename", "output_dimension", low=256, high=1536, reason="of these, 256, 512, 1024 and 1536"
        ),
        "encoding_format": Rule("transform", reason="base64 is made here, of the floats", default="float"),
        "input_type": PASS,
        "truncate": PASS,
        "user": drop("it takes no user"),
        "metadata": drop("it takes no labels"),
    },
    models=(("embed-*-v3.0", {"dimensions": refuse("the length of its vectors is fixed")}),),
)

PARAMETERS: Mapping[Operation, ParameterRules] = {"chat": CHAT, "embeddings": EMBEDDINGS}


class CohereSettings(ProviderSettings):
    """How to reach Cohere."""

    kind: Literal["cohere"] = "cohere"
    base_url: str = Field(default=HOST, pattern=BASE_URL)
    api_key: HeaderSecret
    input_type: Literal["search_document", "search_query", "classification", "clustering"] = "search_document"
    """What embeddings are for, unless a request has an ``input_type`` of its own; Cohere must be told."""


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
            return cohere_answer.READERS[call.operation](call, body, response)
        except (AttributeError, KeyError, TypeError, ValueError, struct.error):
            raise ProviderError("server", "HTTP 200, but the answer is none of Cohere's", http_status=200) from None

    def stream_decoder(self, call: ProviderCall) -> StreamDecoder:
        """See ``HttpProvider``."""
        return CohereStreamDecoder(call)

    def to_error(self, response: Response) -> ProviderError:
        """Cohere has no error codes: its text alone tells a month that is used up from a minute."""
        error = parse_error(response.status, response.headers, response.content)
        if error.error_type == "rate_limited" and "month" in error.message.lower():
            error.error_type = "quota_exhausted"
        error.retry_after_s = error.retry_after_s or _reset_s(response.headers)
        return error


def _reset_s(headers: Mapping[str, str]) -> float | None:
    """Until X-RateLimit-Reset, which is in unix seconds."""
    try:
        seconds = float(headers.get("x-ratelimit-reset", "")) - time.time()
    except ValueError:
        return None
    return seconds if 0 < seconds <= MAX_RETRY_AFTER_S else None
