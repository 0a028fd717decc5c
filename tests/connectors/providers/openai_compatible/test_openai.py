from __future__ import annotations

import asyncio
import gzip
import json
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import pytest
from aiohttp import web
from pydantic import ValidationError

from connectors.http_client import MAX_RESPONSE_BYTES
from connectors.providers import make_provider, parse_settings
from connectors.providers.openai_compatible.openai import OpenAI
from connectors.providers.provider import Provider, ProviderCall, ProviderError
from schemas.events.parts import Usage
from schemas.events.vocabulary import ErrorType
from schemas.json_types import JsonObject
from tests.connectors.wire_double import CHAT, Wire, hang, wire
from tests.eventually import eventually

KEY = "sk-secret-0123456789"
BODY: JsonObject = {"model": "alias", "messages": [{"role": "user", "content": "hi"}], "logit_bias": {"5": -1}}


def a_call(body: JsonObject | None = None, timeout_s: float = 5.0, **more: Any) -> ProviderCall:
    return ProviderCall("r1", more.pop("operation", "chat"), "gpt-4o", BODY if body is None else body, timeout_s)


@asynccontextmanager
async def provider(**settings: Any) -> AsyncIterator[tuple[Provider, Wire]]:
    async with wire() as double:
        made = make_provider(
            "openai", parse_settings({"kind": "openai", "base_url": double.url, "api_key": KEY, **settings})
        )
        try:
            yield made, double
        finally:
            await made.close()


async def failing(status: int, body: object, headers: dict[str, str] | None = None) -> ProviderError:
    async with provider() as (openai, double):
        double.answer(status, body, headers)
        with pytest.raises(ProviderError) as caught:
            await openai.complete(a_call())
        return caught.value


async def test_body_is_sent_unchanged_except_for_the_model() -> None:
    async with provider(organization="org", project="proj", headers={"x-extra": "1"}) as (openai, double):
        await openai.complete(a_call())

        path, headers, _ = double.requests[0]
        assert path == "/v1/chat/completions"
        assert double.last_body == {**BODY, "model": "gpt-4o"}
        assert headers["authorization"] == f"Bearer {KEY}"
        assert headers["content-type"] == "application/json"
        assert (headers["openai-organization"], headers["openai-project"], headers["x-extra"]) == ("org", "proj", "1")
        assert headers["user-agent"].startswith("sluice/")


async def test_answer_is_unchanged_and_usage_inclusive() -> None:
    async with provider() as (openai, _):
        answer = await openai.complete(a_call())

    assert answer.body == CHAT
    assert answer.usage == Usage(
        input_tokens=100, output_tokens=30, cache_read_input_tokens=40, reasoning_output_tokens=20
    )
    assert (answer.response_id, answer.response_model) == ("chatcmpl-1", "gpt-4o-2024-08-06")
    assert answer.finish_reasons == ("stop",)


async def test_embeddings_have_their_own_path_and_no_finish_reason() -> None:
    async with provider() as (openai, double):
        double.answer(200, {"object": "list", "data": [{"embedding": [1.0]}], "usage": {"prompt_tokens": 3}})

        answer = await openai.complete(a_call({"input": "hi"}, operation="embeddings"))

        assert double.requests[0][0] == "/v1/embeddings"
        assert answer.usage == Usage(input_tokens=3)
        assert answer.finish_reasons == ()


async def test_complete_never_requests_a_stream() -> None:
    async with provider() as (openai, double):
        await openai.complete(a_call({**BODY, "stream": True, "stream_options": {"include_usage": True}}))

        assert "stream" not in double.last_body
        assert "stream_options" not in double.last_body


@pytest.mark.parametrize("usage", [None, [], {"prompt_tokens": "7"}, {"prompt_tokens": -1, "completion_tokens": None}])
async def test_invalid_usage_counts_zero(usage: object) -> None:
    async with provider() as (openai, double):
        double.answer(200, {**CHAT, "usage": usage})

        answer = await openai.complete(a_call())

    assert answer.usage == Usage()


async def test_compressed_answer_is_read() -> None:
    async with provider() as (openai, double):
        double.answer(200, gzip.compress(json.dumps(CHAT).encode()), {"content-encoding": "gzip"})

        answer = await openai.complete(a_call())

    assert answer.body == CHAT


@pytest.mark.parametrize(
    ("status", "error", "expected"),
    [
        (400, {"type": "invalid_request_error", "message": "bad temperature"}, "invalid_request"),
        (400, {"code": "context_length_exceeded", "message": "too long"}, "context_length"),
        (400, {"code": "content_filter", "message": "no"}, "content_filter"),
        (401, {"code": "invalid_api_key", "message": "wrong key"}, "auth"),
        (404, {"code": "model_not_found", "message": "no such model"}, "not_found"),
        (408, {"message": "slow"}, "timeout"),
        (429, {"code": "rate_limit_exceeded", "message": "slow down"}, "rate_limited"),
        (429, {"type": "insufficient_quota", "code": "insufficient_quota", "message": "pay"}, "quota_exhausted"),
        (500, {"message": "oops"}, "server"),
        (503, {"message": "overloaded"}, "capacity"),
    ],
)
async def test_error_response_is_classified(status: int, error: dict[str, str], expected: ErrorType) -> None:
    caught = await failing(status, {"error": error})

    assert caught.error_type == expected
    assert caught.http_status == status
    assert caught.message == error["message"]


async def test_retry_after_is_in_seconds() -> None:
    caught = await failing(429, {"error": {"message": "slow down"}}, {"Retry-After": "7"})

    assert caught.retry_after_s == 7.0


@pytest.mark.parametrize("body", [b"<html>ok</html>", b"", b"[]", {"error": {"message": "inside a 200"}}, {"data": []}])
async def test_status_200_without_an_answer_is_a_server_error(body: object) -> None:
    caught = await failing(200, body)

    assert caught.error_type == "server"
    assert caught.http_status == 200


async def test_redirect_is_not_followed() -> None:
    async with provider() as (openai, double):
        double.answer(307, b"", {"location": double.url + "/elsewhere"})

        with pytest.raises(ProviderError) as caught:
            await openai.complete(a_call())

        assert caught.value.error_type == "server"
        assert len(double.requests) == 1


async def test_answer_above_the_limit_is_not_read_completely() -> None:
    caught = await failing(200, b" " * (MAX_RESPONSE_BYTES + 1))

    assert (caught.error_type, caught.http_status) == ("answer_too_large", 200)
    assert str(MAX_RESPONSE_BYTES) in caught.message


async def test_oversized_error_body_is_a_server_error() -> None:
    caught = await failing(500, b" " * (MAX_RESPONSE_BYTES + 1))

    assert (caught.error_type, caught.http_status) == ("server", 500)


async def test_timed_out_stream_keeps_partial_answer_and_usage() -> None:
    usage = {"prompt_tokens": 7, "completion_tokens": 1}
    chunk = {"id": "c", "choices": [{"index": 0, "delta": {"content": "half an ans"}}], "usage": usage}
    async with provider() as (openai, double):
        double.reply = double.stuck_after(b"data: " + json.dumps(chunk).encode() + b"\n\n")

        with pytest.raises(ProviderError) as caught:
            [_ async for _ in openai.stream(a_call(timeout_s=0.3))]

    assert (caught.value.error_type, caught.value.http_status) == ("timeout", 200)
    assert caught.value.partial is not None
    assert caught.value.partial["choices"][0]["message"]["content"] == "half an ans"
    assert caught.value.usage == Usage(input_tokens=7, output_tokens=1)


async def test_only_openai_is_asked_for_base64_vectors() -> None:
    call = a_call({"input": "x", "encoding_format": "float"}, operation="embeddings")
    own = make_provider("own", parse_settings({"kind": "openai", "base_url": "http://127.0.0.1:1/v1"}))
    itself = make_provider("itself", parse_settings({"kind": "openai", "api_key": KEY}))

    assert isinstance(own, OpenAI)
    assert isinstance(itself, OpenAI)
    assert own.to_request(call).body["encoding_format"] == "float"
    assert itself.to_request(call).body["encoding_format"] == "base64"
    assert [change.param for change in itself.to_request(call).changes] == ["encoding_format"]


async def test_cookies_are_not_kept() -> None:
    async with provider() as (openai, double):
        double.answer(200, CHAT, {"set-cookie": "session=1"})

        await openai.complete(a_call())
        await openai.complete(a_call())

        assert "cookie" not in double.requests[1][1]


async def test_key_is_removed_from_errors() -> None:
    caught = await failing(401, {"error": {"message": f"Incorrect API key provided: {KEY}"}})

    assert KEY not in f"{caught} {caught!r} {caught.message} {caught.args}"
    assert caught.error_type == "auth"


def test_key_is_in_no_repr_or_dump() -> None:
    settings = parse_settings({"kind": "openai", "api_key": KEY, "headers": {"x-key": KEY}})

    assert KEY not in f"{settings} {settings!r} {settings.model_dump_json()}"


@pytest.mark.parametrize(
    "wrong",
    [
        {},  # OpenAI itself, without a key
        {"api_key": KEY + "\n"},
        {"api_key": "schlüssel"},
        {"api_key": KEY, "headers": {"x-key": "a\r\nb: c"}},
        {"base_url": "ftp://host"},
        {"base_url": "https://user:password@host/v1"},
        {"base_url": "https://host/v1?key=1"},
        {"api_kee": KEY},
    ],
)
def test_invalid_settings_are_refused(wrong: JsonObject) -> None:
    with pytest.raises(ValidationError):
        parse_settings({"kind": "openai", **wrong})


async def test_refused_connection_is_a_network_error() -> None:
    openai = make_provider("openai", parse_settings({"kind": "openai", "base_url": "http://127.0.0.1:1/v1"}))

    with pytest.raises(ProviderError) as caught:
        await openai.complete(a_call())
    await openai.close()

    assert caught.value.error_type == "network"
    assert caught.value.message == "the connection to openai failed (connection refused)"
    assert caught.value.http_status is None


async def test_closed_connection_is_a_network_error() -> None:
    async with provider() as (openai, double):

        async def hang_up() -> web.StreamResponse:
            raise asyncio.CancelledError

        double.reply = hang_up
        with pytest.raises(ProviderError) as caught:
            await openai.complete(a_call())

    assert caught.value.error_type == "network"


async def test_silent_server_is_a_timeout() -> None:
    async with provider() as (openai, double):
        double.reply = hang

        with pytest.raises(ProviderError) as caught:
            await openai.complete(a_call(timeout_s=0.2))

    assert caught.value.error_type == "timeout"


async def test_cancelled_call_closes_its_connection() -> None:
    async with provider() as (openai, double):
        double.reply = hang
        task = asyncio.create_task(openai.complete(a_call()))
        await eventually(lambda: double.in_flight == 1)

        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task

        await eventually(lambda: double.in_flight == 0)
