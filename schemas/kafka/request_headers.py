"""Reader of the headers of a request record: every header that Sluice understands, in one pass."""

from __future__ import annotations

import re
import struct
from collections.abc import Mapping
from dataclasses import dataclass

from schemas.codegen.frozen_dataclass import frozen_slots
from schemas.events.parts import Header, ReplyTo
from schemas.events.vocabulary import Lane, Operation
from schemas.kafka.headers import REQUEST_ID, TRACEPARENT, BadHeaderError, Headers, decode_text

OPERATION = "operation"
"""Operation of the request: chat or embeddings. Without it, ``ce_type`` or the body decides."""
EVENT_TYPE = "ce_type"
"""CloudEvents type; one of its dot-separated words may name the operation."""
LANE = "sluice-lane"
"""Lane of the request: interactive, or batch if interactive requests may go first."""
DEADLINE = "deadline-ms"
"""Time until the caller stops waiting, in milliseconds from the record's timestamp, as text."""
STREAM_TO = "sluice-stream-to"
"""Topic of the chunks of a streamed answer, which are written before the reply."""
REQUEST_NAMES = ("Idempotency-Key", "idempotency-key", "ce_id", REQUEST_ID)
"""Headers that may hold the idempotency key, in order of precedence."""

MAX_IDEMPOTENCY_KEY_CHARACTERS = 255
MAX_TIMEOUT_MS = 3_600_000
"""Longest time that a caller may ask Sluice to keep trying: one hour."""

LANES: Mapping[str, Lane] = {"": "interactive", "interactive": "interactive", "batch": "batch"}
"""Values of the lane header. An absent or empty header means interactive."""

_OPERATIONS: Mapping[str, Operation] = {"chat": "chat", "embeddings": "embeddings"}
_WHOLE_NUMBER = re.compile(r"[0-9]{1,9}")
_INT = struct.Struct(">i")
_MAX_PARTITION_DIGITS = 10
"""A larger number is no valid partition, and would not fit into the event."""


@dataclass(frozen=True, slots=True)
class ReplyHeaderStyle:
    """Names of the headers in which one framework requests a reply."""

    name: str
    topic: str
    partition: str | None
    correlation: str


REPLY_HEADER_STYLES = (
    ReplyHeaderStyle("spring", "kafka_replyTopic", "kafka_replyPartition", "kafka_correlationId"),
    ReplyHeaderStyle("smallrye", "REPLY_TOPIC", "REPLY_PARTITION", "REPLY_CORRELATION_ID"),
    ReplyHeaderStyle("faust", "Faust-Ag-ReplyTo", None, "Faust-Ag-CorrelationId"),
    ReplyHeaderStyle("faststream", "reply_to", None, "correlation_id"),
    ReplyHeaderStyle("plain", "reply-topic", "reply-partition", "correlation-id"),
)
"""In order of precedence. Spring's and SmallRye's partition is a 4-byte big-endian integer, the plain one text."""
CORRELATION_NAMES = frozenset(style.correlation for style in REPLY_HEADER_STYLES)
"""The only request headers that a reply repeats."""


class InvalidHeaderError(ValueError):
    """A header is readable, but its value is not allowed. The message names the header, never its value."""


@frozen_slots
class RequestHeaders:
    """Decoded and checked headers of one request record."""

    idempotency_key: str
    """Empty if the caller sent none."""
    operation: Operation | None
    """None if no header names it."""
    lane: Lane
    timeout_ms: int | None
    """None if the caller sent none."""
    traceparent: str
    """Not validated."""
    stream_topic: str
    reply_to: ReplyTo | None
    """None if the caller expects no reply."""


def read_request_headers(headers: Headers, key: bytes | None) -> RequestHeaders:
    """Return all headers of a request record. The last value of a repeated header wins.

    Raises:
        BadHeaderError: a header can't be decoded.
        InvalidHeaderError: a header is readable, but its value is not allowed.

    """
    values = dict(headers)
    return RequestHeaders(
        lane=_lane(values),
        operation=_operation(values),
        timeout_ms=_timeout_ms(values),
        idempotency_key=_checked_idempotency_key(values),
        stream_topic=_text(values, STREAM_TO),
        traceparent=_text(values, TRACEPARENT),
        reply_to=_reply_to(values, key),
    )


def read_reply_address(headers: Headers, key: bytes | None) -> ReplyTo | None:
    """Return the reply address alone, or None if the caller expects no reply.

    Raises:
        BadHeaderError: a reply header is present but can't be decoded.

    """
    return _reply_to(dict(headers), key)


def read_idempotency_key(headers: Headers) -> str:
    """Return the idempotency key alone, of any length; empty if the caller sent none.

    Raises:
        BadHeaderError: the header is not UTF-8.

    """
    return _idempotency_key(dict(headers))


def _text(values: Mapping[str, bytes | None], name: str) -> str:
    return decode_text(values.get(name), name)


def _lane(values: Mapping[str, bytes | None]) -> Lane:
    lane = LANES.get(_text(values, LANE))
    if lane is None:
        raise InvalidHeaderError(f"header {LANE} is neither interactive nor batch")
    return lane


def _operation(values: Mapping[str, bytes | None]) -> Operation | None:
    text = _text(values, OPERATION)
    if text:
        if text not in _OPERATIONS:
            raise InvalidHeaderError(f"header {OPERATION} is neither chat nor embeddings")
        return _OPERATIONS[text]
    event_type = _text(values, EVENT_TYPE)
    return next((_OPERATIONS[word] for word in event_type.split(".") if word in _OPERATIONS), None)


def _timeout_ms(values: Mapping[str, bytes | None]) -> int | None:
    text = _text(values, DEADLINE)
    if not text:
        return None
    if not (_WHOLE_NUMBER.fullmatch(text) and 0 < int(text) <= MAX_TIMEOUT_MS):
        raise InvalidHeaderError(f"header {DEADLINE} is not a whole number from 1 to {MAX_TIMEOUT_MS}")
    return int(text)


def _checked_idempotency_key(values: Mapping[str, bytes | None]) -> str:
    key = _idempotency_key(values)
    if len(key) > MAX_IDEMPOTENCY_KEY_CHARACTERS:
        raise InvalidHeaderError(f"the idempotency key is longer than {MAX_IDEMPOTENCY_KEY_CHARACTERS} characters")
    return key


def _idempotency_key(values: Mapping[str, bytes | None]) -> str:
    for name in REQUEST_NAMES:
        key = _text(values, name)
        if key:
            return key
    return ""


def _reply_to(values: Mapping[str, bytes | None], key: bytes | None) -> ReplyTo | None:
    for style in REPLY_HEADER_STYLES:
        topic = _text(values, style.topic)
        if topic:
            correlation = values.get(style.correlation)
            return ReplyTo(
                topic=topic,
                partition=_partition(values, style.partition) if style.partition else None,
                key=key,
                # A correlation without a value is not echoed: Spring throws on it and loses other replies.
                correlation=(Header(name=style.correlation, value=correlation),) if correlation is not None else (),
            )
    return None


def _partition(values: Mapping[str, bytes | None], name: str) -> int | None:
    value = values.get(name)
    if value is None:
        return None
    partition = -1
    if value.isdigit() and len(value) <= _MAX_PARTITION_DIGITS:
        partition = int(value)
    elif len(value) == _INT.size:
        partition = _INT.unpack(value)[0]
    if partition < 0:
        raise BadHeaderError(f"header {name} is neither a 4-byte integer nor digits")
    return partition
