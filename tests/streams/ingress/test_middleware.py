from __future__ import annotations

import uuid

import pytest
from starlette.exceptions import HTTPException
from starlette.types import Message, Receive, Scope, Send
from structlog.testing import capture_logs

from schemas.events.parts import Failure
from streams.ingress.app import error_response
from streams.ingress.errors import ApiError
from streams.ingress.metrics import Metrics
from streams.ingress.middleware import REQUEST_ID, RequestMiddleware
from streams.ingress.requests.body import ClientDisconnectedError

SCOPE = {"type": "http", "method": "GET", "path": "/", "headers": []}


async def through(door: RequestMiddleware) -> list[Message]:
    sent: list[Message] = []

    async def send(message: Message) -> None:
        sent.append(message)

    async def receive() -> Message:
        raise AssertionError

    await door(dict(SCOPE), receive, send)
    return sent


@pytest.mark.parametrize("learnt", ["", "018f0000-0000-7000-8000-000000000000"])
async def test_every_response_has_the_request_id(learnt: str) -> None:
    async def app(scope: Scope, receive: Receive, send: Send) -> None:
        scope[REQUEST_ID] = learnt or scope[REQUEST_ID]
        await send({"type": "http.response.start", "status": 204, "headers": []})

    (start,) = await through(RequestMiddleware(app, Metrics(), error_response))

    stamped = dict(start["headers"])[b"x-request-id"].decode()
    assert stamped == (learnt or str(uuid.UUID(stamped)))


REFUSED = ApiError(Failure(status=409, type="invalid_request_error", code="taken", message="It is taken."))


@pytest.mark.parametrize(
    ("error", "status", "counted"),
    [(REFUSED, 409, 1), (HTTPException(404), 404, None), (HTTPException(405), 405, None), (ValueError(), 500, None)],
)
async def test_exception_becomes_a_response_and_an_api_error_is_counted(
    error: Exception, status: int, counted: int | None
) -> None:
    async def app(scope: Scope, receive: Receive, send: Send) -> None:
        raise error

    metrics = Metrics()
    with capture_logs() as lines:
        start, body = await through(RequestMiddleware(app, metrics, error_response))

    assert (start["status"], body["type"]) == (status, "http.response.body")
    assert metrics.registry.get_sample_value("sluice_ingress_refused_total", {"code": "taken"}) == counted
    assert len(lines) == (status == 500)


@pytest.mark.parametrize("error", [REFUSED, HTTPException(404), ValueError()])
async def test_exception_after_the_response_started_is_only_logged(error: Exception) -> None:
    async def app(scope: Scope, receive: Receive, send: Send) -> None:
        await send({"type": "http.response.start", "status": 200, "headers": []})
        raise error

    metrics = Metrics()
    with capture_logs() as lines:
        sent = await through(RequestMiddleware(app, metrics, error_response))

    assert [message["status"] for message in sent] == [200]
    assert [line["event"] for line in lines] == ["request.crashed"]
    assert metrics.registry.get_sample_value("sluice_ingress_refused_total", {"code": "taken"}) is None


async def test_response_that_can_not_be_sent_is_only_logged() -> None:
    async def app(scope: Scope, receive: Receive, send: Send) -> None:
        raise REFUSED

    async def broken(*_: object) -> Message:
        raise RuntimeError

    with capture_logs() as lines:
        await RequestMiddleware(app, Metrics(), error_response)(dict(SCOPE), broken, broken)  # type: ignore[arg-type]

    assert [line["event"] for line in lines] == ["request.crashed"]


async def test_crash_is_logged_with_the_request_id_and_not_raised() -> None:
    async def app(scope: Scope, receive: Receive, send: Send) -> None:
        raise ZeroDivisionError

    with capture_logs() as lines:
        await through(RequestMiddleware(app, Metrics(), error_response))

    (line,) = lines
    assert line["event"] == "request.crashed"
    assert uuid.UUID(line["request_id"])


async def test_disconnected_client_is_counted_with_status_499() -> None:
    async def app(scope: Scope, receive: Receive, send: Send) -> None:
        pass

    metrics = Metrics()
    await through(RequestMiddleware(app, metrics, error_response))

    labels = {"http_request_method": "GET", "http_route": "unmatched", "http_response_status_code": "499"}
    assert metrics.registry.get_sample_value("http_server_request_duration_seconds_count", labels) == 1


async def test_client_that_disconnects_within_its_body_is_no_crash() -> None:
    async def app(scope: Scope, receive: Receive, send: Send) -> None:
        raise ClientDisconnectedError

    metrics = Metrics()
    with capture_logs() as lines:
        sent = await through(RequestMiddleware(app, metrics, error_response))

    labels = {"http_request_method": "GET", "http_route": "unmatched", "http_response_status_code": "499"}
    assert (sent, lines) == ([], [])
    assert metrics.registry.get_sample_value("http_server_request_duration_seconds_count", labels) == 1


async def test_response_headers_are_cleaned() -> None:
    async def app(scope: Scope, receive: Receive, send: Send) -> None:
        await send({"type": "http.response.start", "status": 200, "headers": [(b"x", b"a\r\nb")]})

    (start,) = await through(RequestMiddleware(app, Metrics(), error_response))

    assert dict(start["headers"])[b"x"] == b"a??b"
    assert dict(start["headers"])[b"x-content-type-options"] == b"nosniff"


async def test_non_http_scope_is_passed_on_unchanged() -> None:
    seen: list[Scope] = []

    async def app(scope: Scope, receive: Receive, send: Send) -> None:
        seen.append(scope)

    async def nothing(*_: object) -> Message:
        raise AssertionError

    await RequestMiddleware(app, Metrics(), error_response)({"type": "lifespan"}, nothing, nothing)  # type: ignore[arg-type]

    assert seen == [{"type": "lifespan"}]
