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


async def test_a_call_is_on_the_log_as_it_came_and_its_reply_comes_back_untouched(gateway: Gateway) -> None:
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


async def test_the_record_stands_under_its_request_id_with_the_headers_of_an_event(gateway: Gateway) -> None:
    response = await gateway.chat()

    (output,) = gateway.log.written
    headers = dict(output.headers)
    request_id = response.headers["x-request-id"].encode()
    assert (output.topic, output.key) == ("llm.requests.v1", request_id)
    assert headers["request_id"] == request_id
    assert headers["ce_type"] == b"sluice.llm.RequestReceived.v1"


async def test_a_call_of_the_batch_lane_goes_to_that_lanes_topic(gateway: Gateway) -> None:
    await gateway.chat({"X-Sluice-Lane": "batch"})

    assert [output.topic for output in gateway.log.written] == ["llm.requests.batch.v1"]
    assert [event.request.lane for event in gateway.log.requests()] == ["batch"]


async def test_embeddings_are_an_operation_of_their_own(gateway: Gateway) -> None:
    await gateway.http.post("/v1/embeddings", json={"model": "e", "input": "x"})

    assert [event.request.operation for event in gateway.log.requests()] == ["embeddings"]


@pytest.mark.parametrize("body", [b"not json", b"\xff\xfe", b""])
async def test_a_body_that_is_no_json_is_left_to_the_filter_so_that_it_is_on_the_record(
    gateway: Gateway, body: bytes
) -> None:
    await gateway.http.post("/v1/chat/completions", content=body)

    assert [event.body for event in gateway.log.requests()] == [body]


async def test_an_idempotency_key_gives_the_same_id_to_every_try_but_each_try_its_own_reply(gateway: Gateway) -> None:
    first, second = await asyncio.gather(*(gateway.chat({"Idempotency-Key": "order-7"}) for _ in range(2)))

    assert first.headers["x-request-id"] == second.headers["x-request-id"]
    addresses = [event.request.reply_to for event in gateway.log.requests()]
    assert addresses[0] != addresses[1]


async def test_what_may_be_repeated_goes_where_its_name_belongs_and_the_rest_where_it_is_turn(gateway: Gateway) -> None:
    await gateway.chat({"Idempotency-Key": "order-7"})
    await asyncio.gather(*(gateway.chat() for _ in range(3)))

    named, *unnamed = (output.partition for output in gateway.log.written)
    assert named is None
    assert all(partition in range(4) for partition in unnamed)


async def test_many_callers_each_get_their_own_reply(gateway: Gateway) -> None:
    gateway.log.answers = lambda event: StageAnswer(body=event.body)

    responses = await asyncio.gather(*(gateway.chat(user=str(number)) for number in range(200)))

    assert [response.json()["user"] for response in responses] == [str(number) for number in range(200)]


async def test_without_a_reply_by_the_deadline_the_caller_is_told_where_to_ask(
    gateway: Gateway, monkeypatch: pytest.MonkeyPatch
) -> None:
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


async def test_a_caller_beyond_the_bound_is_refused_while_the_others_wait_on() -> None:
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


async def test_without_a_broker_the_caller_is_refused_and_nobody_waits(gateway: Gateway) -> None:
    gateway.log.available = False

    response = await gateway.chat()

    assert (response.status_code, response.headers["retry-after"]) == (503, "1")
    assert response.json()["error"]["code"] == "broker_unavailable"
    assert await gateway.count("sluice_ingress_waiting") == 0


async def test_who_comes_while_a_broker_acknowledges_nothing_is_told_that_the_log_has_not_got_it(
    gateway: Gateway,
) -> None:
    gateway.log.available = False
    for _ in range(2):
        told = (await gateway.chat()).json()["error"]["message"]
        assert "did not acknowledge the request in time" in told

    response = await gateway.chat()

    assert (response.status_code, response.headers["retry-after"]) == (503, "1")
    assert response.json()["error"]["message"] == "Kafka is unavailable. Retry the request."


async def test_a_caller_that_hangs_up_is_forgotten_but_its_answer_is_kept(gateway: Gateway) -> None:
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


async def test_stopping_sends_the_waiting_away_with_word_where_to_ask(gateway: Gateway) -> None:
    gateway.log.answers = lambda _: None
    waiting = asyncio.create_task(gateway.chat())
    await eventually(lambda: len(gateway.log.written) == 1)

    gateway.ingress.abort_all()

    response = await waiting
    assert response.status_code == 503
    assert response.json()["error"]["code"] == "restarting"
    assert response.headers["x-request-id"] in response.json()["error"]["message"]


async def test_a_caller_that_prefers_not_to_wait_gets_the_place_where_to_ask(gateway: Gateway) -> None:
    gateway.log.answers = lambda _: None

    response = await gateway.chat({"Prefer": "respond-async"})

    request_id = response.headers["x-request-id"]
    assert response.status_code == 202
    assert response.json() == {"id": request_id, "object": "request", "status": "pending"}
    assert response.headers["location"] == f"/v1/requests/{request_id}"
    assert response.headers["preference-applied"] == "respond-async"
    assert await _status(gateway, request_id, "pending")


async def test_a_request_that_never_reached_the_log_is_not_pending(gateway: Gateway) -> None:
    gateway.log.available = False

    response = await gateway.chat({"Prefer": "respond-async"})

    assert response.status_code == 503
    poll = await gateway.http.get(f"/v1/requests/{response.headers['x-request-id']}")
    assert poll.status_code == 404


async def test_a_reply_that_nobody_waits_for_is_counted(gateway: Gateway) -> None:
    await gateway.chat()
    (event,) = gateway.log.requests()

    gateway.log.replies.put_nowait([reply_record(event, StageAnswer())])

    await eventually(lambda: _counted(gateway, "sluice_ingress_replies_unclaimed_total", 1))


async def test_a_body_beyond_the_limit_sent_in_chunks_is_refused_and_on_the_record() -> None:
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


async def test_a_refused_try_does_not_end_the_request_that_its_key_names(gateway: Gateway) -> None:
    named = await gateway.chat({"Idempotency-Key": "order-7"})

    refused = await gateway.chat({"Idempotency-Key": "order-7", "Content-Encoding": "gzip"})

    assert refused.status_code == 415
    assert refused.headers["x-request-id"] != named.headers["x-request-id"]


async def _status(gateway: Gateway, request_id: str, expected: str) -> bool:
    poll = await gateway.http.get(f"/v1/requests/{request_id}")
    return bool(poll.json().get("status") == expected)


async def _counted(gateway: Gateway, name: str, expected: int) -> bool:
    return await gateway.count(name) == expected
