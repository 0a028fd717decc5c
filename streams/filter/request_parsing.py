"""Parser of the records on a request topic: the ingress's events, and plain JSON from Kafka producers."""

from __future__ import annotations

import dataclasses
from typing import Any

from schemas.avro.codec import UndecodableError, decode, is_framed
from schemas.codegen.frozen_dataclass import frozen_slots
from schemas.events.catalog import RequestReceived
from schemas.events.parts import Failure, Request
from schemas.events.vocabulary import Operation
from schemas.json_types import JsonObject
from schemas.kafka.headers import BadHeaderError
from schemas.kafka.records import ConsumerRecord
from schemas.kafka.request_headers import (
    MAX_IDEMPOTENCY_KEY_CHARACTERS,
    MAX_TIMEOUT_MS,
    InvalidHeaderError,
    RequestHeaders,
    read_reply_address,
    read_request_headers,
)
from schemas.kafka.topics import Topics
from schemas.openai import bodies as openai
from schemas.openai.errors import invalid
from streams.config.settings import ANONYMOUS_TENANT
from streams.filter.reply_address_check import check_reply_address
from streams.pipeline.event_signatures import EventSignatures
from streams.pipeline.request_builder import RequestBuilder
from streams.pipeline.request_identity import derive_request_id, identify, request_id_of
from streams.pipeline.request_metadata import RequestMetadata, valid_traceparent


@frozen_slots
class ParsedRequest:
    """A readable request. Its body may still be invalid."""

    request: Request
    body: bytes
    document: JsonObject | Failure
    """The parsed body, or why it can't be parsed."""


class InvalidRecordError(Exception):
    """A record that is no valid request. The caller receives ``failure`` if ``request`` has a reply address."""

    def __init__(self, request: Request, failure: Failure, *, dead_letter: bool) -> None:
        super().__init__(failure.message)
        self.request = request
        self.failure = failure
        self.dead_letter = dead_letter
        """True if the record is kept as a dead letter, because an operator has to inspect it."""


class ForgedEventError(InvalidRecordError):
    """An event on the gateway's own topic that the ingress did not sign. Nothing in it is believed or answered."""


class RequestParser:
    """Turns records into requests. The tenant comes from the topic, never from the record.

    Args:
        topics: the configured topics.
        builder: applies the configured lanes and timeouts.
        accepts_anonymous: whether plain JSON may come in on the gateway's own request topics.
        signatures: verifies the events on these topics; None accepts them unsigned.

    """

    def __init__(
        self,
        topics: Topics,
        builder: RequestBuilder,
        *,
        accepts_anonymous: bool,
        signatures: EventSignatures | None = None,
    ) -> None:
        self._topics = topics
        self._builder = builder
        self._accepts_anonymous = accepts_anonymous
        self._signatures = signatures

    def parse(self, record: ConsumerRecord, now_ms: int) -> ParsedRequest:
        """Parse one record.

        Raises:
            InvalidRecordError: the record is unreadable, forged, a header is invalid, the topic is the wrong one, or
                its reply address is not allowed.

        """
        try:
            if record.value is None:
                raise self._unreadable(record, now_ms, "the record has no value")
            if is_framed(record.value):
                parsed = self._parse_framed(record, record.value, now_ms)
            else:
                parsed = self._parse_plain(record, record.value, now_ms)
        except InvalidRecordError as error:
            error.request = self._without_forbidden_reply(error.request)
            raise
        self._check_reply(parsed.request)
        if parsed.request.reply_to is None and parsed.request.stream_topic:  # chunks without a correlation are useless
            return dataclasses.replace(parsed, request=dataclasses.replace(parsed.request, stream_topic=""))
        return parsed

    def recover(self, record: ConsumerRecord, now_ms: int) -> Request:
        """Return as much of a record's request as can be read, so that the request can be settled."""
        try:
            return self.parse(record, now_ms).request
        except InvalidRecordError as error:
            return error.request
        except Exception:  # noqa: BLE001 - the record made the parser raise: its id and reply address may be readable
            return self._without_forbidden_reply(self._unreadable_request(record, now_ms))

    def _parse_framed(self, record: ConsumerRecord, value: bytes, now_ms: int) -> ParsedRequest:
        """Parse a ``RequestReceived``. On a tenant's topic, the topic decides the tenant and the source.

        On the gateway's own topics the event decides, so the signature is verified before anything is read.
        """
        tenant = self._topics.owner_of(record.topic)
        if tenant is None and self._signatures is not None and not self._signatures.verify(record):
            raise self._forged_event_error(record, now_ms)
        try:
            event = decode(value)
        except UndecodableError as error:
            raise self._unreadable(record, now_ms, str(error)) from error
        if not isinstance(event, RequestReceived):
            raise self._unreadable(record, now_ms, f"a {type(event).__name__} is no request")
        request = event.request
        changes: dict[str, Any] = {"traceparent": valid_traceparent(request.traceparent)}
        if tenant is not None:
            received_at = _received_at(record, now_ms)
            deadline_at = min(request.deadline_at, received_at + MAX_TIMEOUT_MS)
            changes |= {"tenant": tenant, "key_id": "", "source": "kafka"}
            changes |= {"received_at": received_at, "deadline_at": deadline_at}
        changes["request_id"] = identify(record, event, self._topics)
        if self._topics.is_batch(record.topic) or self._builder.is_batch_tenant(tenant or request.tenant):
            changes["lane"] = "batch"
        request = _with_changes(request, changes)
        if len(request.idempotency_key) > MAX_IDEMPOTENCY_KEY_CHARACTERS:
            message = f"the idempotency key has more than {MAX_IDEMPOTENCY_KEY_CHARACTERS} characters"
            nameless = dataclasses.replace(request, idempotency_key="")
            raise InvalidRecordError(nameless, invalid("invalid_header", message), dead_letter=False)
        return ParsedRequest(request, event.body, openai.parse_body(event.body))

    def _parse_plain(self, record: ConsumerRecord, value: bytes, now_ms: int) -> ParsedRequest:
        """Parse a JSON body and the record's headers."""
        document = openai.parse_body(value)
        if isinstance(document, Failure) and not _is_text(value):
            raise self._unreadable(record, now_ms, "the value is neither UTF-8 text nor Avro")
        try:
            headers = read_request_headers(record.headers, record.key)
        except BadHeaderError as error:
            raise self._unreadable(record, now_ms, str(error)) from error
        except InvalidHeaderError as error:
            failure, request = invalid("invalid_header", str(error)), self._unreadable_request(record, now_ms)
            raise InvalidRecordError(request, failure, dead_letter=self._is_renamed(request, record)) from error
        owner = self._topics.owner_of(record.topic)
        tenant = owner or ANONYMOUS_TENANT
        request = self._builder.build(
            self._metadata(record, headers, document, now_ms),
            request_id=derive_request_id(record, tenant, headers.idempotency_key if self._is_named(owner) else ""),
            tenant=tenant,
            source="kafka",
        )
        if owner is None and not self._accepts_anonymous:
            message = (
                "This request topic belongs to the gateway. "
                f"Produce to your tenant's topic, {self._topics.prefix}requests.<tenant>.v1."
            )
            failure = Failure(status=403, type="permission_error", code="wrong_topic", message=message)
            raise InvalidRecordError(request, failure, dead_letter=self._is_renamed(request, record))
        return ParsedRequest(request, value, document)

    def _metadata(
        self, record: ConsumerRecord, headers: RequestHeaders, document: JsonObject | Failure, now_ms: int
    ) -> RequestMetadata:
        return RequestMetadata(
            received_at=_received_at(record, now_ms),
            operation=headers.operation or _operation_of(document),
            idempotency_key=headers.idempotency_key,
            lane="batch" if self._topics.is_batch(record.topic) else headers.lane,
            timeout_ms=headers.timeout_ms,
            traceparent=headers.traceparent,
            reply_to=headers.reply_to,
            stream_topic=headers.stream_topic,
        )

    def _is_named(self, owner: str | None) -> bool:
        """Return whether an idempotency key of plain JSON names a request.

        Where plain JSON is refused it does not, or the refusal would settle the request of another caller.
        """
        return owner is not None or self._accepts_anonymous

    def _is_renamed(self, request: Request, record: ConsumerRecord) -> bool:
        """Return whether the refusal settles another id than the row of the record has in ClickHouse.

        Such a record is kept as a dead letter, which takes its row off the view of unsettled requests.
        """
        return request.request_id != request_id_of(record, self._topics)

    def _forged_event_error(self, record: ConsumerRecord, now_ms: int) -> ForgedEventError:
        """Return the refusal of a record whose event is unsigned. Its id is that of its position.

        An id or a reply address in the record is the choice of the record's producer, who may be an attacker.
        """
        message = "The event has no valid signature of the ingress. If the ingress wrote it, check kafka.signing_keys."
        failure = Failure(status=403, type="permission_error", code="unsigned_event", message=message)
        request = self._builder.build_unreadable(
            _received_at(record, now_ms),
            request_id=derive_request_id(record, ANONYMOUS_TENANT, ""),
            tenant=ANONYMOUS_TENANT,
            reply_to=None,
        )
        return ForgedEventError(request, failure, dead_letter=True)

    def _unreadable(self, record: ConsumerRecord, now_ms: int, reason: str) -> InvalidRecordError:
        failure = invalid("unreadable", f"the record can't be read as a request: {reason}")
        return InvalidRecordError(self._unreadable_request(record, now_ms), failure, dead_letter=True)

    def _unreadable_request(self, record: ConsumerRecord, now_ms: int) -> Request:
        """Return a request of the readable part of a record, so that it is settled and its caller gets a reply."""
        try:
            reply_to = read_reply_address(record.headers, record.key)
        except BadHeaderError:
            reply_to = None
        owner = self._topics.owner_of(record.topic)
        is_named = self._is_named(owner) or is_framed(record.value or b"")  # an event got here with a valid signature
        return self._builder.build_unreadable(
            _received_at(record, now_ms),
            request_id=request_id_of(record, self._topics) if is_named else derive_request_id(record, "", ""),
            tenant=owner or ANONYMOUS_TENANT,
            reply_to=reply_to,
        )

    def _without_forbidden_reply(self, request: Request) -> Request:
        """Return the request without its reply address if no reply may be sent there."""
        if request.reply_to is None or check_reply_address(request, request.reply_to, self._topics) is None:
            return request
        return dataclasses.replace(request, reply_to=None)

    def _check_reply(self, request: Request) -> None:
        failure = check_reply_address(request, request.reply_to, self._topics) if request.reply_to else None
        if failure is not None:
            raise InvalidRecordError(dataclasses.replace(request, reply_to=None), failure, dead_letter=False)


def _received_at(record: ConsumerRecord, now_ms: int) -> int:
    """Return the record's timestamp, or the current time if it has none or the producer's clock is ahead."""
    return min(record.timestamp_ms, now_ms) if record.timestamp_ms > 0 else now_ms


def _operation_of(document: JsonObject | Failure) -> Operation:
    """Return the operation that the fields of the body indicate."""
    is_embeddings = isinstance(document, dict) and "input" in document and "messages" not in document
    return "embeddings" if is_embeddings else "chat"


def _with_changes(request: Request, changes: dict[str, Any]) -> Request:
    """Return the request with these fields changed. Usually none differs, and the same object is returned.

    An unchanged request is not encoded again.
    """
    if all(getattr(request, name) == value for name, value in changes.items()):
        return request
    return dataclasses.replace(request, **changes)


def _is_text(value: bytes) -> bool:
    try:
        value.decode()
    except UnicodeDecodeError:
        return False
    return True
