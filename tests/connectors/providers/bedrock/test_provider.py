from __future__ import annotations

import datetime as dt
from typing import Any
from urllib.parse import quote

import pytest
from pydantic import ValidationError

from connectors.providers import parse_settings
from connectors.providers.bedrock.provider import Bedrock, BedrockSettings
from connectors.providers.bedrock.sigv4 import Credentials, RequestToSign, sign
from connectors.providers.provider import ProviderCall, ProviderError
from schemas.json_types import JsonObject
from tests.connectors.wire_double import Wire, wire

KEY_ID, SECRET, TOKEN = "AKIDEXAMPLE", "wJalrXUtnFEMI/K7MDENG+bPxRfiCYEXAMPLEKEY", "session/token="
SIGNED = {"access_key_id": KEY_ID, "secret_access_key": SECRET, "session_token": TOKEN, "region": "eu-central-1"}
ARN = "arn:aws:bedrock:eu-central-1:123456789012:application-inference-profile/abc"
ANSWER = {"output": {"message": {"role": "assistant", "content": [{"text": "hi"}]}}, "stopReason": "end_turn"}


def a_call(model: str) -> ProviderCall:
    return ProviderCall(
        "r1", "chat", model, {"model": "alias", "messages": [{"role": "user", "content": "Grüße"}]}, 5.0
    )


async def called(double: Wire, model: str, **settings: Any) -> ProviderError | None:
    made = parse_settings({"kind": "bedrock", "base_url": double.url.removesuffix("/v1"), **settings})
    bedrock = Bedrock("b", made, clock=lambda: 1440938160.0)
    try:
        await bedrock.complete(a_call(model))
    except ProviderError as error:
        return error
    finally:
        await bedrock.close()
    return None


@pytest.mark.parametrize("model", ["eu.anthropic.claude-sonnet-4-5-20250929-v1:0", ARN, "a b+c%3A~d"])
async def test_signature_covers_the_sent_request(model: str) -> None:
    async with wire() as double:
        double.answer(200, ANSWER)

        await called(double, model, **SIGNED)

        _, headers, body = double.requests[0]
        path = double.targets[0]
    now = dt.datetime(2015, 8, 30, 12, 36, tzinfo=dt.UTC)
    received = RequestToSign("POST", path, "", {"host": headers["host"]}, body)
    expected = sign(received, Credentials(KEY_ID, SECRET, TOKEN), "eu-central-1", "bedrock", now)
    assert path == f"/model/{quote(model, safe='')}/converse"
    assert {name: headers[name] for name in expected} == expected


async def test_api_key_is_a_bearer_without_signature() -> None:
    async with wire() as double:
        double.answer(200, ANSWER)

        await called(double, "m", api_key="k")

        _, headers, _ = double.requests[0]
    assert headers["authorization"] == "Bearer k"
    assert "x-amz-date" not in headers


async def test_secrets_are_removed_from_errors() -> None:
    async with wire() as double:
        double.answer(403, {"message": f"The key {SECRET} with {TOKEN} is unknown."})

        error = await called(double, "m", **SIGNED)

    assert error is not None
    assert error.error_type == "auth"
    assert SECRET not in f"{error!r} {error.message}"
    assert TOKEN not in error.message


@pytest.mark.parametrize("body", [b"<html>", [], {}, {"output": {"message": {"content": "text"}}}])
async def test_status_200_without_an_answer_is_a_server_error(body: object) -> None:
    async with wire() as double:
        double.answer(200, body)

        error = await called(double, "m", api_key="k")

    assert error is not None
    assert (error.error_type, error.http_status) == ("server", 200)


@pytest.mark.parametrize(
    ("region", "host"),
    [
        ("eu-central-1", "https://bedrock-runtime.eu-central-1.amazonaws.com"),
        ("us-gov-west-1", "https://bedrock-runtime.us-gov-west-1.amazonaws.com"),
        ("cn-north-1", "https://bedrock-runtime.cn-north-1.amazonaws.com.cn"),
    ],
)
def test_host_follows_from_the_region(region: str, host: str) -> None:
    assert BedrockSettings.model_validate({"region": region, "api_key": "k"}).host == host


@pytest.mark.parametrize(
    "wrong",
    [
        {"region": "eu-central-1"},
        {"api_key": "k"},
        {"region": "eu-central-1.evil.example/", "api_key": "k"},
        {"region": "eu-central-1", "access_key_id": KEY_ID},
        {"region": "eu-central-1", "secret_access_key": SECRET},
        {**SIGNED, "api_key": "k"},
        {"base_url": "http://localhost", "access_key_id": KEY_ID, "secret_access_key": SECRET},
        {"region": "eu-central-1", "api_key": "k\n"},
        {**SIGNED, "session_token": "a\r\nb"},
    ],
)
def test_invalid_settings_are_refused(wrong: JsonObject) -> None:
    with pytest.raises(ValidationError):
        parse_settings({"kind": "bedrock", **wrong})


def test_secrets_are_in_no_repr_or_dump() -> None:
    settings = parse_settings({"kind": "bedrock", **SIGNED})

    said = f"{settings} {settings!r} {settings.model_dump_json()}"
    assert SECRET not in said
    assert TOKEN not in said
