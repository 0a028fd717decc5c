"""The two operations: a call comes in, is put on the log, and waits for its reply, or is told where to ask for it."""

from __future__ import annotations

import asyncio
import contextlib
import functools
import time
from dataclasses import dataclass

import orjson
import structlog
from starlette.types import Receive, Scope, Send

from connectors.kafka import KafkaFaultError
from schemas.avro.codec import encode
from schemas.codegen.frozen_dataclass import fixed
from schemas.events.catalog import RequestReceived
from schemas.events.parts import Failure, Request
from schemas.events.request_id import is_named
from schemas.events.vocabulary import Operation
from schemas.kafka.headers import cloudevent
from schemas.kafka.records import Output
from streams.config.settings import Settings
from streams.ingress.admission.controller import Admission
from streams.ingress.admission.in_flight import UnderWay
from streams.ingress.errors import DO_NOT_RETRY, OURS, RefusedError, unavailable
from streams.ingress.metrics import Metrics
from streams.ingress.middleware import REQUEST_ID
from streams.ingress.replies.cache import Answers
from streams.ingress.replies.pending import NoReply, Waiter, Waiters
from streams.ingress.replies.reader import Piece, Reply, respond
from streams.ingress.replies.sse import begun, respond_stream
from streams.ingress.replies.stream_buffer import Streams
from streams.ingress.requests.authentication import Caller, Keyring
from streams.ingress.requests.body import HungUpError, read_body
from streams.ingress.requests.builder import ReplyAddress, addressed, arrive, wants_no_wait
from streams.ingress.requests.publisher import Log, NotTriedError
from streams.ingress.requests.refusal_recorder import Recorder
from streams.ingress.requests.sticky_partitioner import Turns
from streams.ingress.translators.translator import Front

_STREAM = b'"stream"'
"""A body without these bytes gets no stream; with them it may. The filter knows: this saves others the price."""

SLACK_S = 2.0
"""Beyond the deadline, so that the stages' own word that a request expired still reaches its caller."""

_log = structlog.get_logger()


@dataclass(frozen=True, slots=True)
class Desk:
    """What both operations share."""

    log: Log
    settings: Settings
    address: ReplyAddress
    keyring: Keyring
    waiters: Waiters
    under_way: UnderWay
    answers: Answers
    admission: Admission
    recorder: Recorder
    metrics: Metrics
    body_limit: int
    """Bytes."""
    streams: Streams
    turns: Turns

    def place(self, request: Request) -> int | None:
        """The partition of a request: its id's if its caller may repeat it, else whose turn it is."""
        return None if is_named(request.request_id) else self.turns.among(self.settings.kafka.partitions)

    def deliver(self, reply: Reply | Piece) -> None:
        """Take a reply, or a chunk before it, to whoever asked: a waiting caller, else one that polls."""
        self.streams.take(reply)
        if isinstance(reply, Piece):
            return
        self.under_way.end(reply.correlation)
        if not self.waiters.deliver(reply) and not self.answers.settle(reply):
            self.metrics.unclaimed.inc()


@fixed
class Call:
    """One call that was let in."""

    request: Request
    asked: bytes
    """The body as its caller wrote it."""
    body: bytes
    """The same as it goes on the log."""

    @property
    def may_stream(self) -> bool:
        """Whether its body may ask for a stream."""
        return _STREAM in self.body


class OperationEndpoint:
    """``POST`` of one operation: an ASGI application, since this is the hot path."""

    def __init__(self, operation: Operation, desk: Desk, front: Front) -> None:
        self._operation = operation
        self._desk = desk
        self._front = front

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer one HTTP request.

        Raises:
            RefusedError: there will be no reply, and the error says why.

        """
        headers = dict(scope["headers"])
        try:
            call = await self._take(scope, headers, receive)
            if wants_no_wait(headers):
                await self._accept(call, send)
            else:
                await self._answer(call, receive, send)
        except HungUpError:
            return

    async def _take(self, scope: Scope, headers: dict[bytes, bytes], receive: Receive) -> Call:
        """The request and its body, unless it is refused here; then that goes on the record."""
        caller = Caller("")
        try:
            caller = self._desk.keyring.authenticate(headers)
            request = self._arrive(headers, caller, scope[REQUEST_ID])
            asked = await read_body(receive, headers, self._desk.body_limit)
            body = self._front.ask(asked)
            if isinstance(body, Failure):
                raise RefusedError(body)  # noqa: TRY301 - on the record like every other
            self._desk.admission.check(request)
            if not wants_no_wait(headers):
                self._desk.waiters.check()
        except RefusedError as refusal:
            # Under a fresh id, without the headers: a refused try must not end the request that another try began.
            refused = self._arrive({}, caller, scope[REQUEST_ID])
            await self._desk.recorder.refused(refused, refusal.failure)
            raise
        scope[REQUEST_ID] = request.request_id
        return Call(request, asked, body)

    def _arrive(self, headers: dict[bytes, bytes], caller: Caller, request_id: str) -> Request:
        return arrive(
            headers,
            operation=self._operation,
            caller=caller,
            request_id=request_id,
            settings=self._desk.settings,
        )

    async def _answer(self, call: Call, receive: Receive, send: Send) -> None:
        request, correlation = addressed(call.request, self._desk.address, stream=call.may_stream)
        seconds = _patience_s(request)
        with contextlib.ExitStack() as stack:
            waiter = stack.enter_context(self._desk.waiters.enter(correlation, seconds))
            stream = None
            if call.may_stream:
                writer = functools.partial(self._front.writer, call.asked)
                stream = stack.enter_context(self._desk.streams.open(correlation, request, seconds, writer))
            await self._publish(request, correlation, call.body)
            watch = asyncio.create_task(_watch(receive, waiter))
            try:
                if stream is not None and await begun(stream, waiter):
                    await respond_stream(send, stream, waiter)
                    return
                end = await waiter.ended()
            finally:
                watch.cancel()
        if isinstance(end, Reply):
            await respond(send, end, self._front, call.asked)
            return
        self._desk.answers.expect(request.request_id, request.tenant, request.received_at)
        if end is not NoReply.HUNG_UP:
            raise _no_reply(end, request.request_id)

    async def _accept(self, call: Call, send: Send) -> None:
        request, correlation = addressed(call.request, self._desk.address, stream=call.may_stream)
        is_new = self._desk.answers.expect(request.request_id, request.tenant, request.received_at)
        try:
            await self._publish(request, correlation, call.body)
        except RefusedError:
            if is_new:
                self._desk.answers.forget(request.request_id)
            raise
        await _send_accepted(send, request.request_id)

    async def _publish(self, request: Request, correlation: str, body: bytes) -> None:
        """Put the request on the log; from here on it will be settled, whatever becomes of its caller."""
        self._desk.under_way.begin(request, correlation, _patience_s(request))
        event = RequestReceived(request=request, body=body)
        headers = cloudevent(event, request.request_id, "ingress", request.received_at, request.traceparent)
        topic = self._desk.settings.topics.way(request.lane).requests
        output = Output(topic.name, request.request_id.encode(), encode(event), headers, self._desk.place(request))
        started = time.perf_counter()
        try:
            await self._desk.log.send(output)
        except NotTriedError as error:
            self._desk.under_way.end(correlation)
            raise unavailable("broker_unavailable", "The event log does not answer. Send it again.") from error
        except KafkaFaultError as error:
            self._desk.under_way.end(correlation)
            _log.warning("request.unacknowledged", request_id=request.request_id, reason=str(error))
            raise unavailable(
                "broker_unavailable",
                "The event log did not acknowledge the request in time. Send it again, with the same Idempotency-Key.",
            ) from error
        self._desk.metrics.acknowledged.observe(time.perf_counter() - started)


def _patience_s(request: Request) -> float:
    """How long a reply is waited for."""
    return (request.deadline_at - request.received_at) / 1000 + SLACK_S


async def _watch(receive: Receive, waiter: Waiter) -> None:
    """End the wait when the caller hangs up."""
    while (await receive())["type"] != "http.disconnect":
        pass
    waiter.end(NoReply.HUNG_UP)


def _no_reply(end: NoReply, request_id: str) -> RefusedError:
    where = f"The request is on the record and goes on: GET /v1/requests/{request_id} tells how it ends."
    if end is NoReply.CLOSING:
        message = f"This gateway is being restarted. {where}"
        return RefusedError(Failure(status=503, type=OURS, code="restarting", message=message), DO_NOT_RETRY)
    message = f"There was no answer by the deadline. {where}"
    return RefusedError(Failure(status=504, type=OURS, code="deadline_exceeded", message=message), DO_NOT_RETRY)


async def _send_accepted(send: Send, request_id: str) -> None:
    body = orjson.dumps({"id": request_id, "object": "request", "status": "pending"})
    headers = [
        (b"content-type", b"application/json"),
        (b"content-length", str(len(body)).encode()),
        (b"location", f"/v1/requests/{request_id}".encode()),
        (b"preference-applied", b"respond-async"),
    ]
    await send({"type": "http.response.start", "status": 202, "headers": headers})
    await send({"type": "http.response.body", "body": body})
