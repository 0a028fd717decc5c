"""The official clients against the whole application."""

from __future__ import annotations

import anthropic
import openai
import orjson
import pytest
from anthropic.types import MessageParam
from openai.types.chat import ChatCompletionMessageParam

from schemas.events.catalog import RequestReceived
from streams.composition import ingress_config
from streams.config.api_keys import new_key
from streams.config.settings import Settings
from tests.streams.ingress.fake_log import StageAnswer
from tests.streams.ingress.gateway import Gateway, running

MESSAGES: list[ChatCompletionMessageParam] = [{"role": "user", "content": "hello"}]
HELLO: list[MessageParam] = [{"role": "user", "content": "hello"}]
PLAIN, HASH = new_key()
LOCKED = {"tenants": {"acme": {}}, "keys": [{"id": "acme-1", "tenant": "acme", "hash": HASH}]}


def error(status: int, code: str) -> StageAnswer:
    body = {"error": {"message": "Because.", "type": "invalid_request_error", "param": None, "code": code}}
    return StageAnswer(status, "refused", orjson.dumps(body), ())


async def test_openai_client_receives_a_completion(gateway: Gateway) -> None:
    completion = await gateway.openai().chat.completions.create(model="echo", messages=MESSAGES)

    assert completion.choices[0].message.content == "hello"


async def test_openai_client_receives_an_embedding(gateway: Gateway) -> None:
    document = {"object": "list", "model": "e", "data": [{"object": "embedding", "index": 0, "embedding": [0.5]}]}
    gateway.log.answers = lambda _: StageAnswer(body=orjson.dumps(document))

    response = await gateway.openai().embeddings.create(model="e", input="x", encoding_format="float")

    assert response.data[0].embedding == [0.5]


@pytest.mark.parametrize(
    ("status", "expected"),
    [
        (400, openai.BadRequestError),
        (403, openai.PermissionDeniedError),
        (404, openai.NotFoundError),
        (429, openai.RateLimitError),
        (502, openai.InternalServerError),
        (504, openai.InternalServerError),
    ],
)
async def test_openai_client_raises_the_exception_of_the_status(
    gateway: Gateway, status: int, expected: type[openai.APIStatusError]
) -> None:
    gateway.log.answers = lambda _: error(status, "some_code")

    with pytest.raises(expected) as caught:
        await gateway.openai().chat.completions.create(model="echo", messages=MESSAGES)

    assert caught.value.code == "some_code"
    assert caught.value.request_id == str(gateway.log.requests()[0].request.request_id)


async def test_openai_client_does_not_retry_a_failure(gateway: Gateway) -> None:
    gateway.log.answers = lambda _: error(502, "server")

    with pytest.raises(openai.InternalServerError):
        await gateway.openai(retries=2).chat.completions.create(model="echo", messages=MESSAGES)

    assert len(gateway.log.requests()) == 1


async def test_key_decides_the_tenant() -> None:
    async with running(**LOCKED) as gateway:
        await gateway.openai(PLAIN).chat.completions.create(model="echo", messages=MESSAGES)

        (event,) = gateway.log.requests()
        assert (event.request.tenant, event.request.key_id) == ("acme", "acme-1")
        assert PLAIN.encode() not in (gateway.log.written[0].value or b"")


async def test_invalid_key_is_a_recorded_authentication_error_without_the_key() -> None:
    async with running(**LOCKED) as gateway:
        with pytest.raises(openai.AuthenticationError) as caught:
            await gateway.openai("sk-wrong").chat.completions.create(model="echo", messages=MESSAGES)

        (output,) = gateway.log.written
        assert caught.value.code == "invalid_api_key"
        assert output.topic == "llm.outcomes.v1"
        assert output.key == (caught.value.request_id or "").encode()
        assert b"sk-wrong" not in (output.value or b"")


@pytest.mark.parametrize(
    ("method", "path"),
    [
        ("POST", "/v1/chat/completions"),
        ("POST", "/v1/responses"),
        ("POST", "/v1/embeddings"),
        ("POST", "/v1/feedback"),
        ("GET", "/v1/models"),
        ("GET", "/v1/models/echo"),
        ("GET", "/v1/requests/018f0000-0000-7000-8000-000000000000"),
    ],
)
async def test_every_v1_path_needs_a_key(method: str, path: str) -> None:
    async with running(**LOCKED) as gateway:
        response = await gateway.http.request(method, path, content=b"{}")

        assert response.status_code == 401
        assert response.json()["error"]["code"] == "invalid_api_key"
        assert response.headers["www-authenticate"] == "Bearer"


async def test_anthropic_client_receives_a_message(gateway: Gateway) -> None:
    message = await gateway.anthropic().messages.create(model="echo", max_tokens=9, messages=HELLO)

    assert [block.text for block in message.content if block.type == "text"] == ["hello"]
    assert message._request_id == gateway.log.requests()[0].request.request_id


async def test_openai_client_receives_a_response(gateway: Gateway) -> None:
    response = await gateway.openai().responses.create(model="echo", input="hello", instructions="Be brief.")

    assert (response.output_text, response.instructions) == ("hello", "Be brief.")


async def test_anthropic_client_raises_an_authentication_error_for_an_invalid_key() -> None:
    async with running(**LOCKED) as gateway:
        with pytest.raises(anthropic.AuthenticationError) as caught:
            await gateway.anthropic("sk-wrong").messages.create(model="echo", max_tokens=9, messages=HELLO)

        assert caught.value.type == "authentication_error"
        assert len(gateway.log.written) == 1


async def test_untranslatable_request_is_rejected_and_recorded(gateway: Gateway) -> None:
    with pytest.raises(openai.BadRequestError) as caught:
        await gateway.openai().responses.create(model="echo", input="hello", previous_response_id="resp_1")

    (output,) = gateway.log.written
    assert caught.value.param == "previous_response_id"
    assert output.topic == "llm.outcomes.v1"


@pytest.mark.parametrize(
    ("method", "path", "status", "kind"),
    [
        ("POST", "/v1/messages/count_tokens", 404, "not_found_error"),
        ("GET", "/v1/messages", 405, "invalid_request_error"),
    ],
)
async def test_unknown_path_below_messages_has_anthropics_error(
    gateway: Gateway, method: str, path: str, status: int, kind: str
) -> None:
    response = await gateway.http.request(method, path)

    assert (response.status_code, response.json()["error"]["type"]) == (status, kind)
    assert response.headers["request-id"] == response.headers["x-request-id"]


@pytest.mark.parametrize(
    ("method", "path", "status", "code"),
    [
        ("GET", "/", 404, "unknown_url"),
        ("POST", "/v1/completions", 404, "unknown_url"),
        ("GET", "/v1/models/", 404, "model_not_found"),
        ("GET", "/v1/chat/completions", 405, "method_not_allowed"),
        ("GET", "/v1/responses/resp_1", 404, "unknown_url"),
        ("DELETE", "/v1/models", 405, "method_not_allowed"),
        ("GET", "/%00%ff", 404, "unknown_url"),
    ],
)
async def test_unknown_path_has_an_error_object_with_a_request_id(
    gateway: Gateway, method: str, path: str, status: int, code: str
) -> None:
    response = await gateway.http.request(method, path)

    assert (response.status_code, response.json()["error"]["code"]) == (status, code)
    assert response.headers["x-request-id"]


async def test_crash_has_an_error_object_without_its_cause(gateway: Gateway) -> None:
    def crash(_: RequestReceived) -> StageAnswer:
        raise ZeroDivisionError

    gateway.log.answers = crash

    response = await gateway.chat()

    assert (response.status_code, response.json()["error"]["code"]) == (500, "internal_error")
    assert "Zero" not in response.text
    assert response.headers["x-request-id"]


def test_instance_reads_its_share_of_the_reply_partitions() -> None:
    settings = Settings.model_validate({"http": {"instance": 1, "instances": 2}})

    assert ingress_config(settings).reply_partitions == (1, 3)
