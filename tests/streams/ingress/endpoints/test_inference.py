from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator

import pytest
from starlette.types import Message

from schemas.avro.codec import decode
from schemas.events.catalog import RequestReceived, RequestSettled
from streams.ingress.endpoints import inference as operations
from tests.eventually import eventually
from tests.streams.ingress.fake_log import ANSWER, StageAnswer, reply_record
from tests.streams.ingress.gateway import Gateway, running

TRACE = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01"


async def test_body_is_published_unchanged_and_reply_is_returned_unchanged(gateway: Gateway) -> None:
    response = await gateway.http.post(
        "/v1/chat/completions", content=b'{ "model": "echo" }', headers={"traceparent": TRACE}
    )

    (event,) = gateway.log.requests()
    assert (response.status_code, response.content) == (200, ANSWER)
    assert response.headers["x-request-id"] == event.request.request_id
    assert response.headers["x-sluice-target"] == "sim/echo"
    assert event.body == b'{ "model": "echo" }'
    assert (event.request.operation, event.request.tenant, event.request.source) == ("chat", "default", "http")
    assert event.request.traceparent == TRACE


async def test_record_has_the_request_id_as_key_and_event_headers(gateway: Gateway) -> None:
    response = await gateway.chat()

    (output,) = gateway.log.written
    headers = dict(output.headers)
    request_id = response.headers["x-request-id"].encode()
    assert (output.topic, output.key) == ("llm.requests.v1", request_id)
    assert headers["request_id"] == request_id
    assert headers["ce_type"] == b"sluice.llm.RequestReceived.v1"


async def test_batch_request_goes_to_the_batch_topic(gateway: Gateway) -> None:
    await gateway.chat({"X-Sluice-Lane": "batch"})

    assert [output.topic for output in gateway.log.written] == ["llm.requests.batch.v1"]
    assert [event.request.lane for event in gateway.log.requests()] == ["batch"]


async def test_embeddings_request_has_its_own_operation(gateway: Gateway) -> None:
    await gateway.http.post("/v1/embeddings", json={"model": "e", "input": "x"})

    assert [event.request.operation for event in gateway.log.requests()] == ["embeddings"]


@pytest.mark.parametrize("body", [b"not json", b"\xff\xfe", b""])
async def test_invalid_json_is_left_to_the_filter(gateway: Gateway, body: bytes) -> None:
    await gateway.http.post("/v1/chat/completions", content=body)

    assert [event.body for event in gateway.log.requests()] == [body]


async def test_retries_with_an_idempotency_key_share_the_id_but_not_the_reply(gateway: Gateway) -> None:
    first, second = await asyncio.gather(*(gateway.chat({"Idempotency-Key": "order-7"}) for _ in range(2)))

    assert first.headers["x-request-id"] == second.headers["x-request-id"]
    addresses = [event.request.reply_to for event in gateway.log.requests()]
    assert addresses[0] != addresses[1]


async def test_named_requests_are_placed_by_id_and_others_by_the_sticky_partitioner(gateway: Gateway) -> None:
    await gateway.chat({"Idempotency-Key": "order-7"})
    await asyncio.gather(*(gateway.chat() for _ in range(3)))

    named, *unnamed = (output.partition for output in gateway.log.written)
    assert named is None
    assert all(partition in range(4) for partition in unnamed)


async def test_concurrent_callers_receive_their_own_replies(gateway: Gateway) -> None:
    gateway.log.answers = lambda event: StageAnswer(body=event.body)

    responses = await asyncio.gather(*(gateway.chat(user=str(number)) for number in range(200)))

    assert [response.json()["user"] for response in responses] == [str(number) for number in range(200)]


async def test_timeout_error_names_the_url_to_poll(gateway: Gateway, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(operations, "SLACK_S", 0)
    gateway.log.answers = lambda _: None

    response = await gateway.chat({"X-Request-Timeout": "0.05"})

    request_id = response.headers["x-request-id"]
    assert response.status_code == 504
    assert response.headers["x-should-retry"] == "false"
    assert f"GET /v1/requests/{request_id}" in response.json()["error"]["message"]
    (event,) = gateway.log.requests()
    gateway.log.replies.put_nowait([reply_record(event, StageAnswer())])
    await eventually(lambda: _status(gateway, request_id, "answered"))


async def test_caller_beyond_max_waiting_is_rejected() -> None:
    async with running(http={"max_waiting": 1}) as gateway:
        gateway.log.answers = lambda _: None
        waiting = asyncio.create_task(gateway.chat())
        await eventually(lambda: len(gateway.log.written) == 1)

        refused = await gateway.chat()

        assert (refused.status_code, refused.headers["retry-after"]) == (503, "1")
        assert refused.headers["retry-after-ms"] == "1000"
        assert refused.json()["error"]["code"] == "overloaded"
        row = gateway.log.events()[-1]
        assert isinstance(row, RequestSettled)
        assert row.failure is not None
        assert row.failure.code == "overloaded"
        gateway.log.replies.put_nowait([reply_record(gateway.log.requests()[0], StageAnswer())])
        assert (await waiting).status_code == 200


async def test_unavailable_broker_gives_503_without_a_waiting_caller(gateway: Gateway) -> None:
    gateway.log.available = False

    response = await gateway.chat()

    assert (response.status_code, response.headers["retry-after"]) == (503, "1")
    assert response.json()["error"]["code"] == "broker_unavailable"
    assert await gateway.count("sluice_ingress_waiting") == 0


async def test_request_during_a_broker_outage_fails_at_once(
    gateway: Gateway,
) -> None:
    gateway.log.available = False
    for _ in range(2):
        told = (await gateway.chat()).json()["error"]["message"]
        assert "did not acknowledge the request in time" in told

    response = await gateway.chat()

    assert (response.status_code, response.headers["retry-after"]) == (503, "1")
    assert response.json()["error"]["message"] == "Kafka is unavailable. Retry the request."


async def test_answer_of_a_disconnected_client_is_kept(gateway: Gateway) -> None:
    gateway.log.answers = lambda _: None
    messages: list[Message] = [{"type": "http.request", "body": b"{}"}, {"type": "http.disconnect"}]
    sent: list[Message] = []

    async def receive() -> Message:
        return messages.pop(0)

    async def send(message: Message) -> None:
        sent.append(message)

    scope = {"type": "http", "method": "POST", "path": "/v1/chat/completions", "headers": [], "query_string": b""}
    await gateway.ingress(scope, receive, send)

    assert sent == []
    assert await gateway.count("sluice_ingress_waiting") == 0
    (event,) = gateway.log.requests()
    gateway.log.replies.put_nowait([reply_record(event, StageAnswer())])
    await eventually(lambda: _status(gateway, event.request.request_id, "answered"))


async def test_stopping_answers_waiting_callers_with_the_url_to_poll(gateway: Gateway) -> None:
    gateway.log.answers = lambda _: None
    waiting = asyncio.create_task(gateway.chat())
    await eventually(lambda: len(gateway.log.written) == 1)

    gateway.ingress.abort_all()

    response = await waiting
    assert response.status_code == 503
    assert response.json()["error"]["code"] == "restarting"
    assert response.headers["x-request-id"] in response.json()["error"]["message"]


async def test_respond_async_returns_202_with_a_location(gateway: Gateway) -> None:
    gateway.log.answers = lambda _: None

    response = await gateway.chat({"Prefer": "respond-async"})

    request_id = response.headers["x-request-id"]
    assert response.status_code == 202
    assert response.json() == {"id": request_id, "object": "request", "status": "pending"}
    assert response.headers["location"] == f"/v1/requests/{request_id}"
    assert response.headers["preference-applied"] == "respond-async"
    assert await _status(gateway, request_id, "pending")


async def test_unpublished_request_is_not_pending(gateway: Gateway) -> None:
    gateway.log.available = False

    response = await gateway.chat({"Prefer": "respond-async"})

    assert response.status_code == 503
    poll = await gateway.http.get(f"/v1/requests/{response.headers['x-request-id']}")
    assert poll.status_code == 404


async def test_reply_without_waiting_caller_is_counted(gateway: Gateway) -> None:
    await gateway.chat()
    (event,) = gateway.log.requests()

    gateway.log.replies.put_nowait([reply_record(event, StageAnswer())])

    await eventually(lambda: _counted(gateway, "sluice_ingress_replies_unclaimed_total", 1))


async def test_chunked_body_beyond_the_limit_is_rejected_and_recorded() -> None:
    async with running(http={"body_limit_bytes": 100}) as gateway:

        async def chunks() -> AsyncIterator[bytes]:
            for _ in range(50):
                yield b"x" * 10

        response = await gateway.http.post("/v1/chat/completions", content=chunks())

        assert response.status_code == 413
        (event,) = gateway.log.events()
        assert event == decode(gateway.log.written[0].value or b"")
        assert not isinstance(event, RequestReceived)
        assert event.request.request_id == response.headers["x-request-id"]  # type: ignore[attr-defined]


async def test_rejected_retry_does_not_settle_the_original_request(gateway: Gateway) -> None:
    named = await gateway.chat({"Idempotency-Key": "order-7"})

    refused = await gateway.chat({"Idempotency-Key": "order-7", "Content-Encoding": "gzip"})

    assert refused.status_code == 415
    assert refused.headers["x-request-id"] != named.headers["x-request-id"]


async def _status(gateway: Gateway, request_id: str, expected: str) -> bool:
    poll = await gateway.http.get(f"/v1/requests/{request_id}")
    return bool(poll.json().get("status") == expected)


async def _counted(gateway: Gateway, name: str, expected: int) -> bool:
    return await gateway.count(name) == expected
