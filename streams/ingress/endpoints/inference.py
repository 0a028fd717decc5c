"""Inference endpoints: publish a request to Kafka, then wait for its reply or answer 202 with the address to poll."""

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
from schemas.codegen.frozen_dataclass import frozen_slots
from schemas.events.catalog import RequestReceived
from schemas.events.parts import Failure, Request
from schemas.events.request_id import is_named, named_request_id
from schemas.events.vocabulary import Operation
from schemas.kafka.headers import cloudevent_headers
from schemas.kafka.records import ProducerRecord
from schemas.kafka.topics import Topics
from streams.ingress.admission.controller import AdmissionController
from streams.ingress.admission.in_flight import InFlightRequests
from streams.ingress.errors import DO_NOT_RETRY, SERVER_ERROR, ApiError, unavailable
from streams.ingress.metrics import Metrics
from streams.ingress.middleware import REQUEST_ID
from streams.ingress.replies.cache import ReplyCache
from streams.ingress.replies.pending import PendingReplies, PendingReply, WaitEnd
from streams.ingress.replies.reader import Reply, ReplyChunk, send_reply
from streams.ingress.replies.sse import has_begun, respond_stream
from streams.ingress.replies.stream_buffer import StreamBuffers
from streams.ingress.requests.authentication import ApiKeyAuthenticator, Principal
from streams.ingress.requests.body import read_body
from streams.ingress.requests.publisher import PublisherUnavailableError, RequestPublisher
from streams.ingress.requests.refusal_recorder import RefusalRecorder
from streams.ingress.requests.reply_address import ReplyAddress, with_reply_address
from streams.ingress.requests.request_headers import prefers_async, read_metadata
from streams.ingress.requests.single_headers import read_headers
from streams.ingress.requests.sticky_partitioner import StickyPartitioner
from streams.ingress.translators.translator import ApiTranslator
from streams.pipeline.event_signatures import EventSignatures
from streams.pipeline.request_builder import RequestBuilder

_STREAM = b'"stream"'
"""A body without these bytes requests no stream. The filter parses the body; this check spares it the buffer."""

SLACK_S = 2.0
"""Extra wait after the deadline, so that the reply of an expired request still reaches its caller."""

_log = structlog.get_logger()


@dataclass(frozen=True, slots=True)
class IngressContext:
    """Parts that all inference endpoints share."""

    publisher: RequestPublisher
    topics: Topics
    partitions: int
    """Number of partitions of the request topics."""
    builder: RequestBuilder
    address: ReplyAddress
    authenticator: ApiKeyAuthenticator
    pending: PendingReplies
    in_flight: InFlightRequests
    reply_cache: ReplyCache
    admission: AdmissionController
    recorder: RefusalRecorder
    metrics: Metrics
    body_limit: int
    """Bytes."""
    streams: StreamBuffers
    partitioner: StickyPartitioner
    signatures: EventSignatures | None
    """Signs the events for the filter; None if they are not signed."""

    def choose_partition(self, request: Request) -> int | None:
        """Return the next partition, or None if the hash of the id decides, because the client may send it again."""
        return None if is_named(request.request_id) else self.partitioner.choose(self.partitions)

    def deliver(self, reply: Reply | ReplyChunk) -> None:
        """Deliver a reply, or a chunk before it, to the waiting caller, else to the cache for a caller that polls."""
        self.streams.add(reply)
        if isinstance(reply, ReplyChunk):
            return
        self.in_flight.remove(reply.correlation)
        if not self.pending.resolve(reply) and not self.reply_cache.store(reply):
            self.metrics.unclaimed.inc()


@frozen_slots
class AcceptedRequest:
    """One admitted HTTP request."""

    request: Request
    original_body: bytes
    """The body as the client sent it."""
    body: bytes
    """The body as a chat completion request, which is published."""
    is_async: bool
    """True if the client does not wait, but polls."""

    @property
    def may_stream(self) -> bool:
        """True if the body may request a stream."""
        return _STREAM in self.body


class OperationEndpoint:
    """``POST`` endpoint of one operation. It is an ASGI application, because this is the hot path."""

    def __init__(self, operation: Operation, context: IngressContext, translator: ApiTranslator) -> None:
        self._operation = operation
        self._context = context
        self._translator = translator

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer one HTTP request.

        Raises:
            ApiError: the request is rejected, or has no reply in time.
            ClientDisconnectedError: the client disconnected within the body.

        """
        accepted = await self._accept_request(scope, receive)
        if accepted.is_async:
            await self._respond_async(accepted, send)
        else:
            await self._wait_for_reply(accepted, receive, send)

    async def _accept_request(self, scope: Scope, receive: Receive) -> AcceptedRequest:
        """Return the request and its body. A request that is rejected here is recorded."""
        caller = Principal("")
        try:
            headers = read_headers(scope["headers"])
            caller = self._context.authenticator.authenticate(headers)
            request = self._parse_request(headers, caller, scope[REQUEST_ID])
            original_body = await read_body(receive, headers, self._context.body_limit)
            body = self._translator.to_chat_request(original_body)
            if isinstance(body, Failure):
                raise ApiError(body)  # noqa: TRY301 - recorded like every other
            self._context.admission.check(request)
            is_async = prefers_async(headers)
            if not is_async:
                self._context.pending.check()
        except ApiError as refusal:
            # Under a new id, without the headers: a rejected retry must not settle the request of an earlier try.
            refused = self._parse_request({}, caller, scope[REQUEST_ID])
            await self._context.recorder.record(refused, refusal.failure)
            raise
        scope[REQUEST_ID] = request.request_id
        return AcceptedRequest(request, original_body, body, is_async)

    def _parse_request(self, headers: dict[bytes, bytes], caller: Principal, request_id: str) -> Request:
        """Return the request of these headers; the idempotency key, if there is one, decides its id."""
        metadata = read_metadata(headers, self._operation)
        key = metadata.idempotency_key
        return self._context.builder.build(
            metadata,
            request_id=named_request_id(caller.tenant, key) if key else request_id,
            tenant=caller.tenant,
            key_id=caller.key_id,
            source="http",
        )

    async def _wait_for_reply(self, accepted: AcceptedRequest, receive: Receive, send: Send) -> None:
        request, correlation = with_reply_address(accepted.request, self._context.address, stream=accepted.may_stream)
        seconds = _wait_timeout_s(request)
        with contextlib.ExitStack() as stack:
            pending = stack.enter_context(self._context.pending.register(correlation, seconds))
            stream = None
            if accepted.may_stream:
                writer = functools.partial(self._translator.event_writer, accepted.original_body)
                stream = stack.enter_context(self._context.streams.open(correlation, request, seconds, writer))
            await self._publish(request, correlation, accepted.body)
            watcher = asyncio.create_task(_watch_disconnect(receive, pending))
            try:
                if stream is not None and await has_begun(stream, pending):
                    await respond_stream(send, stream, pending)
                    return
                end = await pending.wait()
            finally:
                watcher.cancel()
        if isinstance(end, Reply):
            await send_reply(send, end, self._translator, accepted.original_body)
            return
        self._context.reply_cache.mark_pending(request.request_id, request.tenant, request.received_at)
        if end is not WaitEnd.CLIENT_DISCONNECTED:
            raise _error_for(end, request.request_id)

    async def _respond_async(self, accepted: AcceptedRequest, send: Send) -> None:
        request, correlation = with_reply_address(accepted.request, self._context.address, stream=accepted.may_stream)
        is_new = self._context.reply_cache.mark_pending(request.request_id, request.tenant, request.received_at)
        try:
            await self._publish(request, correlation, accepted.body)
        except ApiError:
            if is_new:
                self._context.reply_cache.discard(request.request_id)
            raise
        await _send_accepted(send, request.request_id)

    async def _publish(self, request: Request, correlation: str, body: bytes) -> None:
        """Publish the request. Once it is acknowledged it will be settled, even if the client disconnects."""
        self._context.in_flight.add(request, correlation, _wait_timeout_s(request))
        event = RequestReceived(request=request, body=body)
        headers = cloudevent_headers(event, request.request_id, "ingress", request.received_at, request.traceparent)
        topic = self._context.topics.for_lane(request.lane).requests
        key, value = request.request_id.encode(), encode(event)
        if self._context.signatures is not None:
            headers = (*headers, self._context.signatures.header(topic.name, key, value))
        record = ProducerRecord(topic.name, key, value, headers, self._context.choose_partition(request))
        started = time.perf_counter()
        try:
            await self._context.publisher.send(record)
        except PublisherUnavailableError as error:
            self._context.in_flight.remove(correlation)
            raise unavailable("broker_unavailable", "Kafka is unavailable. Retry the request.") from error
        except KafkaFaultError as error:
            self._context.in_flight.remove(correlation)
            _log.warning("request.unacknowledged", request_id=request.request_id, reason=str(error))
            raise unavailable(
                "broker_unavailable",
                "Kafka did not acknowledge the request in time. Retry it with the same Idempotency-Key.",
            ) from error
        self._context.metrics.acknowledged.observe(time.perf_counter() - started)


def _wait_timeout_s(request: Request) -> float:
    """Return how long to wait for the reply, in seconds."""
    return (request.deadline_at - request.received_at) / 1000 + SLACK_S


async def _watch_disconnect(receive: Receive, pending: PendingReply) -> None:
    """End the wait when the client disconnects."""
    while (await receive())["type"] != "http.disconnect":
        pass
    pending.resolve(WaitEnd.CLIENT_DISCONNECTED)


def _error_for(end: WaitEnd, request_id: str) -> ApiError:
    outcome = f"The request is recorded and continues; GET /v1/requests/{request_id} returns its outcome."
    if end is WaitEnd.CLOSING:
        message = f"The gateway is restarting. {outcome}"
        return ApiError(Failure(status=503, type=SERVER_ERROR, code="restarting", message=message), DO_NOT_RETRY)
    message = f"The deadline passed without an answer. {outcome}"
    return ApiError(Failure(status=504, type=SERVER_ERROR, code="deadline_exceeded", message=message), DO_NOT_RETRY)


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
