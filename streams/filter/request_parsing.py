"""A record on a request topic, received: who asks, what for, until when, and where the reply goes."""

from __future__ import annotations

import dataclasses
import math
from typing import Any

from schemas.avro.codec import UndecodableError, decode, is_framed
from schemas.codegen.frozen_dataclass import frozen_slots
from schemas.events.catalog import RequestReceived
from schemas.events.parts import Failure, Request
from schemas.events.vocabulary import Lane
from schemas.kafka import headers
from schemas.kafka.headers import BadHeaderError
from schemas.kafka.records import ConsumerRecord
from schemas.kafka.topics import Topics
from schemas.openai import bodies as openai
from schemas.openai.errors import invalid
from streams.config.settings import ANONYMOUS_TENANT, Settings
from streams.pipeline import request_metadata as asking
from streams.pipeline.request_identity import identify, request_id_of


@frozen_slots
class ParsedRequest:
    """A request that can be read, though its body may still be nonsense."""

    request: Request
    body: bytes
    document: dict[str, Any] | Failure
    """The body parsed, or why it can't be."""


class InvalidRecordError(Exception):
    """A record that is no request. Its caller gets ``failure`` for a reply if ``request`` knows where to."""

    def __init__(self, request: Request, failure: Failure, *, dead_letter: bool) -> None:
        super().__init__(failure.message)
        self.request = request
        self.failure = failure
        self.dead_letter = dead_letter
        """Whether the record is worth keeping: what no reader can read, somebody will have to look at."""


def parse_request(record: ConsumerRecord, settings: Settings, now_ms: int) -> ParsedRequest:
    """Read a record of a request topic: our own event from the ingress, or plain JSON from a service.

    Raises:
        UnreadableError: it is no request, its caller may not ask here, or its reply may not go where it says.

    """
    if record.value is None:
        raise _invalid_record(record, settings, now_ms, "the record has no value")
    if is_framed(record.value):
        arrival = _parse_framed(record, record.value, settings, now_ms)
    else:
        arrival = _parse_plain(record, record.value, settings, now_ms)
    _check_reply(arrival.request, settings.topics)
    if arrival.request.reply_to is None and arrival.request.stream_topic:  # chunks without a correlation help nobody
        return dataclasses.replace(arrival, request=dataclasses.replace(arrival.request, stream_topic=""))
    return arrival


def _parse_framed(record: ConsumerRecord, value: bytes, settings: Settings, now_ms: int) -> ParsedRequest:
    """Take the ingress's event as it is; on a tenant's topic the event says what is asked, the topic who asks."""
    try:
        event = decode(value)
    except UndecodableError as error:
        raise _invalid_record(record, settings, now_ms, str(error)) from error
    if not isinstance(event, RequestReceived):
        raise _invalid_record(record, settings, now_ms, f"a {type(event).__name__} is no request")
    request = event.request
    changes: dict[str, Any] = {"traceparent": asking.valid_traceparent(request.traceparent)}
    tenant = settings.topics.owner_of(record.topic)
    if tenant is not None:
        received_at = asking.received_at(record, now_ms)
        deadline_at = min(request.deadline_at, received_at + asking.MAX_DEADLINE_MS)
        changes |= {"tenant": tenant, "key_id": "", "source": "kafka"}
        changes |= {"received_at": received_at, "deadline_at": deadline_at}
    changes["request_id"] = identify(record, event, settings.topics)
    if settings.topics.is_batch(record.topic) or settings.tenant(tenant or request.tenant).lane == "batch":
        changes["lane"] = "batch"
    return ParsedRequest(_with_effective_fields(request, changes), event.body, openai.parse_body(event.body))


def _with_effective_fields(request: Request, changes: dict[str, Any]) -> Request:
    """Change what is not so already. Nearly always all is, and the same request goes on, which need not be written."""
    if all(getattr(request, name) == value for name, value in changes.items()):
        return request
    return dataclasses.replace(request, **changes)


def _parse_plain(record: ConsumerRecord, value: bytes, settings: Settings, now_ms: int) -> ParsedRequest:
    """Read JSON, and from the headers all that a body does not hold."""
    document = openai.parse_body(value)
    if isinstance(document, Failure) and not _is_text(value):
        raise _invalid_record(record, settings, now_ms, "the value is neither UTF-8 text nor Avro")
    try:
        request = _request_from_headers(record, document, settings, now_ms)
    except BadHeaderError as error:
        raise _invalid_record(record, settings, now_ms, str(error)) from error
    except ValueError as error:
        failure = invalid("invalid_header", str(error))
        raise InvalidRecordError(_anonymous_request(record, settings, now_ms), failure, dead_letter=False) from error
    if _check_tenant_topic(record, settings):
        own = settings.topics.prefix + "requests.<tenant>.v1"
        message = f"this topic is the gateway's own; produce to your tenant's, {own}"
        failure = Failure(status=403, type="permission_error", code="wrong_topic", message=message)
        raise InvalidRecordError(request, failure, dead_letter=False)
    return ParsedRequest(request, value, document)


def _request_from_headers(
    record: ConsumerRecord, document: dict[str, Any] | Failure, settings: Settings, now_ms: int
) -> Request:
    """Build the request of a record of JSON.

    Raises:
        BadHeaderError: a header that we need is not UTF-8.
        ValueError: one says what can't be.

    """
    received_at = asking.received_at(record, now_ms)
    tenant = settings.topics.owner_of(record.topic) or ANONYMOUS_TENANT
    lane = _lane(record, tenant, settings)
    return Request(
        request_id=identify(record, None, settings.topics),
        tenant=tenant,
        operation=asking.operation(record.headers, document),
        source="kafka",
        received_at=received_at,
        deadline_at=received_at + asking.timeout_ms(record.headers, lane, settings),
        idempotency_key=asking.idempotency_key(record.headers),
        stream_topic=headers.text(record.headers, headers.STREAM_TO),
        traceparent=asking.valid_traceparent(headers.text(record.headers, "traceparent")),
        reply_to=headers.parse_reply_to(record.headers, record.key),
        lane=lane,
    )


def _lane(record: ConsumerRecord, tenant: str, settings: Settings) -> Lane:
    said = headers.text(record.headers, headers.LANE)
    try:
        lane = asking.lane(said, tenant, settings)
    except ValueError as error:
        raise ValueError(f"header {headers.LANE} is {error}") from error
    return "batch" if settings.topics.is_batch(record.topic) else lane


def _anonymous_request(record: ConsumerRecord, settings: Settings, now_ms: int) -> Request:
    """Build what can be known of a record that can't be read, so that it has its end and its caller a reply."""
    received_at = asking.received_at(record, now_ms)
    try:
        reply_to = headers.parse_reply_to(record.headers, record.key)
    except BadHeaderError:
        reply_to = None
    request = Request(
        request_id=request_id_of(record, settings.topics),
        tenant=settings.topics.owner_of(record.topic) or ANONYMOUS_TENANT,
        operation="chat",
        source="kafka",
        received_at=received_at,
        deadline_at=received_at + math.ceil(settings.deadline_s * 1000),
        reply_to=reply_to,
    )
    allowed = reply_to is None or asking.check_reply_address(request, reply_to, settings.topics) is None
    return request if allowed else dataclasses.replace(request, reply_to=None)


def _invalid_record(record: ConsumerRecord, settings: Settings, now_ms: int, reason: str) -> InvalidRecordError:
    failure = invalid("unreadable", f"the record can't be read as a request: {reason}")
    return InvalidRecordError(_anonymous_request(record, settings, now_ms), failure, dead_letter=True)


def _check_tenant_topic(record: ConsumerRecord, settings: Settings) -> bool:
    """Say whether this is the ingress's topic and nobody may be the open tenant: keys are configured, it is not."""
    nobodys = settings.topics.owner_of(record.topic) is None
    return bool(settings.keys) and ANONYMOUS_TENANT not in settings.tenants and nobodys


def _check_reply(request: Request, topics: Topics) -> None:
    failure = asking.check_reply_address(request, request.reply_to, topics) if request.reply_to else None
    if failure is not None:
        raise InvalidRecordError(dataclasses.replace(request, reply_to=None), failure, dead_letter=False)


def _is_text(value: bytes) -> bool:
    try:
        value.decode()
    except UnicodeDecodeError:
        return False
    return True
