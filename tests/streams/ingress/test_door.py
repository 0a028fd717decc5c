from __future__ import annotations

import uuid

import pytest
from starlette.types import Message, Receive, Scope, Send
from structlog.testing import capture_logs

from streams.ingress.door import REQUEST_ID, Door
from streams.ingress.metrics import Metrics

SCOPE = {"type": "http", "method": "GET", "path": "/", "headers": []}


async def through(door: Door) -> list[Message]:
    sent: list[Message] = []

    async def send(message: Message) -> None:
        sent.append(message)

    async def receive() -> Message:
        raise AssertionError

    await door(dict(SCOPE), receive, send)
    return sent


@pytest.mark.parametrize("learnt", ["", "018f0000-0000-7000-8000-000000000000"])
async def test_every_response_says_which_request_it_belongs_to(learnt: str) -> None:
    async def app(scope: Scope, receive: Receive, send: Send) -> None:
        scope[REQUEST_ID] = learnt or scope[REQUEST_ID]
        await send({"type": "http.response.start", "status": 204, "headers": []})

    (start,) = await through(Door(app, Metrics()))

    stamped = dict(start["headers"])[b"x-request-id"].decode()
    assert stamped == (learnt or str(uuid.UUID(stamped)))


async def test_a_crash_is_one_line_in_the_log_with_the_request_id_and_goes_no_further() -> None:
    async def app(scope: Scope, receive: Receive, send: Send) -> None:
        raise ZeroDivisionError

    with capture_logs() as lines:
        await through(Door(app, Metrics()))

    (line,) = lines
    assert line["event"] == "request.crashed"
    assert uuid.UUID(line["request_id"])


async def test_a_caller_that_left_unanswered_is_counted_under_499() -> None:
    async def app(scope: Scope, receive: Receive, send: Send) -> None:
        pass

    metrics = Metrics()
    await through(Door(app, metrics))

    labels = {"http_request_method": "GET", "http_route": "unmatched", "http_response_status_code": "499"}
    assert metrics.registry.get_sample_value("http_server_request_duration_seconds_count", labels) == 1


async def test_what_is_not_http_is_passed_on_untouched() -> None:
    seen: list[Scope] = []

    async def app(scope: Scope, receive: Receive, send: Send) -> None:
        seen.append(scope)

    async def nothing(*_: object) -> Message:
        raise AssertionError

    await Door(app, Metrics())({"type": "lifespan"}, nothing, nothing)  # type: ignore[arg-type]

    assert seen == [{"type": "lifespan"}]
