"""Tests of the HTTP API of a running gateway, and of the rows in ClickHouse."""

from __future__ import annotations

import json
import urllib.request

import openai
import pytest

from tests.eventually import eventually
from tests.fixtures.gateway import GatewayProcess

pytestmark = pytest.mark.flow


@pytest.fixture
def client(gateway: GatewayProcess) -> openai.OpenAI:
    return openai.OpenAI(base_url=f"{gateway.http}/v1", api_key="none-needed", max_retries=0)


def test_official_client_gets_an_answer_that_is_recorded(gateway: GatewayProcess, client: openai.OpenAI) -> None:
    raw = client.chat.completions.with_raw_response.create(
        model="demo", messages=[{"role": "user", "content": "What is a sluice?"}], metadata={"team": "water"}
    )

    completion = raw.parse()
    assert completion.choices[0].message.content
    assert completion.usage is not None
    request_id = raw.headers["x-request-id"]
    (row,) = gateway.until_rows(f"SELECT * FROM requests WHERE request_id = '{request_id}'")
    assert row["outcome"] == "answered"
    assert row["request_model"] == "demo"
    assert row["provider"] == "sim"
    assert row["labels"] == {"team": "water"}
    assert "What is a sluice?" in row["input"]
    assert json.loads(row["output"])["id"] == completion.id
    assert row["input_tokens"] == completion.usage.prompt_tokens
    events = gateway.until_rows(
        f"SELECT event_type, count() AS n FROM events WHERE request_id = '{request_id}' GROUP BY 1", 6
    )
    assert {event["event_type"]: int(event["n"]) for event in events} == {
        "RequestReceived": 1,
        "RequestAdmitted": 1,
        "RequestRouted": 1,
        "AttemptStarted": 1,
        "AttemptFinished": 1,
        "RequestSettled": 1,
    }


def test_embeddings_are_in_order(client: openai.OpenAI) -> None:
    answer = client.embeddings.create(model="demo", input=["one", "two", "three"])

    assert [item.index for item in answer.data] == [0, 1, 2]
    assert len({tuple(item.embedding) for item in answer.data}) == 3


def test_models_are_listed(client: openai.OpenAI) -> None:
    assert {"demo", "slow", "fallback"} <= {model.id for model in client.models.list()}


def test_model_may_name_provider_and_model(client: openai.OpenAI) -> None:
    answer = client.chat.completions.create(model="sim/echo", messages=[{"role": "user", "content": "direct"}])

    assert answer.choices[0].message.content


def test_unknown_model_is_a_404_that_names_it(client: openai.OpenAI) -> None:
    with pytest.raises(openai.NotFoundError) as caught:
        client.chat.completions.create(model="gpt-99", messages=[{"role": "user", "content": "hi"}])

    assert caught.value.code == "model_not_found"
    assert "gpt-99" in str(caught.value)


def test_invalid_parameter_is_named(client: openai.OpenAI) -> None:
    with pytest.raises(openai.BadRequestError) as caught:
        client.chat.completions.create(model="demo", messages=[{"role": "user", "content": "hi"}], temperature=7)

    assert caught.value.param == "temperature"


def test_rate_limit_of_a_provider_is_a_429_with_retry_after(client: openai.OpenAI) -> None:
    with pytest.raises(openai.RateLimitError) as caught:
        client.chat.completions.create(model="limited", messages=[{"role": "user", "content": "hi"}])

    assert caught.value.response.headers["retry-after"]


def test_failing_provider_is_retried_before_the_request_fails(gateway: GatewayProcess) -> None:
    status, headers, answer = gateway.chat("hi", model="broken")

    assert status >= 500
    assert answer["error"]["code"]
    (row,) = gateway.until_rows(
        f"SELECT outcome, attempts FROM requests WHERE request_id = '{headers['x-request-id']}'"
    )
    assert (row["outcome"], row["attempts"]) == ("failed", 2)


def test_second_target_answers_if_the_first_has_no_quota(gateway: GatewayProcess) -> None:
    status, headers, _ = gateway.chat("hi", model="fallback")

    assert status == 200
    (row,) = gateway.until_rows(
        f"SELECT attempts, provider_model FROM requests WHERE request_id = '{headers['x-request-id']}'"
    )
    assert (row["attempts"], row["provider_model"]) == (2, "echo")


async def test_respond_async_returns_202_and_a_location_to_poll(gateway: GatewayProcess) -> None:
    body = json.dumps({"model": "slow", "messages": [{"role": "user", "content": "later"}]}).encode()

    status, headers, answer = gateway.post("/v1/chat/completions", body, [("Prefer", "respond-async")])

    assert status == 202
    location = headers["location"]
    assert json.loads(answer)["status"] == "pending"
    await eventually(lambda: gateway.get(location)["status"] == "answered", within=20)
    assert gateway.get(location)["response"]["choices"]


@pytest.mark.parametrize(
    ("body", "status", "code"),
    [
        (b"this is not JSON", 400, "invalid_json"),
        (b'{"model": "demo", "messages": [{"role": "user", "content": "\xff\xfe"}]}', 400, "invalid_json"),
        (b"null", 400, None),
        (b"", 400, None),
        (b"x" * 5_000_000, 413, "request_too_large"),
    ],
    ids=["not-json", "not-utf8", "null", "empty", "5MB"],
)
def test_invalid_body_is_refused_and_recorded(
    gateway: GatewayProcess, body: bytes, status: int, code: str | None
) -> None:
    answered, headers, answer = gateway.post("/v1/chat/completions", body)

    error = json.loads(answer)["error"]
    assert answered == status
    assert error["message"]
    assert code is None or error["code"] == code
    (row,) = gateway.until_rows(
        f"SELECT outcome, http_status FROM requests WHERE request_id = '{headers['x-request-id']}'"
    )
    assert (row["outcome"], row["http_status"]) == ("refused", status)


def test_gateway_is_ready_and_has_metrics(gateway: GatewayProcess) -> None:
    with (
        urllib.request.urlopen(f"{gateway.http}/readyz") as ready,
        urllib.request.urlopen(f"{gateway.http}/metrics") as metrics,
    ):
        assert ready.status == 200
        assert b"http_server_request_duration" in metrics.read()
