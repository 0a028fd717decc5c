"""The headers of a record: what callers of each framework write, and what we write.

Every header that we originate is UTF-8 text. A caller's correlation bytes are echoed untouched, under their own name.
"""

from __future__ import annotations

import functools
import struct
from collections.abc import Iterable
from dataclasses import dataclass
from datetime import UTC, datetime

from schemas.events.catalog import Event
from schemas.events.parts import Header, ReplyTo

Headers = tuple[tuple[str, bytes | None], ...]
"""A record's headers, in order, as Kafka holds them: a name may come twice, a value may be missing."""

_INT = struct.Struct(">i")
_LONG = struct.Struct(">q")
_CLOUDEVENTS_1 = ("ce_specversion", b"1.0")
_AVRO = ("content-type", b"application/avro")
_MAX_PARTITION_DIGITS = 10
"""Of a partition: more are no partition of anybody's, and would not fit into the event."""


@dataclass(frozen=True, slots=True)
class ReplyHeaderStyle:
    """How one framework asks for a reply."""

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

REQUEST_ID = "request_id"
"""On everything that we write, and understood on a request as its name."""
REQUEST_NAMES = ("Idempotency-Key", "idempotency-key", "ce_id", REQUEST_ID)
"""Headers that name a request, in order of precedence."""
STATUS = "sluice-status"
"""On a reply: the HTTP status that it would have had."""
OUTCOME = "sluice-outcome"
"""On a reply: answered, refused, failed or expired."""
ERROR = "sluice-error"
"""On a reply that is no answer: the error's code."""
OPERATION = "operation"
"""On a request, if its body does not tell: chat or embeddings."""
LANE = "sluice-lane"
"""On a request: interactive, or batch if it may come after all who wait."""
DEADLINE = "deadline-ms"
"""On a request: how long the caller waits, in milliseconds from the record's time, as text."""
STREAM_TO = "sluice-stream-to"
"""On a request whose body says ``stream``: the topic that the chunks go to, before the reply."""
SEQUENCE = "sluice-sequence"
"""On a chunk: its number within its stream, from 0, as text."""
ATTEMPT = "sluice-attempt"
"""On a chunk: which attempt at a provider it comes from. A second one begins at 0 again, after a crash."""
STREAMED = "sluice-streamed"
"""On a reply whose answer was asked for in chunks."""
SERVED_BY = "sluice-target"
"""On a reply: provider/model that answered."""
FINGERPRINT = "sluice-asked"
"""On the ``AttemptFinished`` that answers a request which its caller named, and on no other: a fingerprint of what was
asked. So whoever looks for the answer of a repeat need not read the records that are none."""
RETRY_AFTER = "retry-after-ms"
"""On a reply that is no answer: when trying again makes sense, in milliseconds, as text; if anybody said so."""


class BadHeaderError(ValueError):
    """A header that we must understand can't be read. The message names it, never its value."""


def last_value(headers: Headers, name: str) -> bytes | None:
    """The value of the last header of this name: where a name comes twice, all frameworks mean the last."""
    return next((value for key, value in reversed(headers) if key == name), None)


def text(headers: Headers, name: str) -> str:
    """The same as text; empty if there is none.

    Raises:
        BadHeaderError: it is not UTF-8.

    """
    value = last_value(headers, name)
    try:
        return value.decode() if value is not None else ""
    except UnicodeDecodeError as error:
        raise BadHeaderError(f"header {name} is not UTF-8") from error


def _partition(headers: Headers, name: str) -> int | None:
    value = last_value(headers, name)
    if value is None:
        return None
    number = -1
    if value.isdigit() and len(value) <= _MAX_PARTITION_DIGITS:
        number = int(value)
    elif len(value) == _INT.size:
        number = _INT.unpack(value)[0]
    if number < 0:
        raise BadHeaderError(f"header {name} is neither a 4-byte integer nor digits")
    return number


def parse_reply_to(
    headers: Headers, key: bytes | None, dialects: Iterable[ReplyHeaderStyle] = REPLY_HEADER_STYLES
) -> ReplyTo | None:
    """Where the caller waits for its reply, or None if it does not.

    Raises:
        BadHeaderError: a reply header is there but can't be read.

    """
    for dialect in dialects:
        topic = text(headers, dialect.topic)
        if topic:
            correlation = last_value(headers, dialect.correlation)
            return ReplyTo(
                topic=topic,
                partition=_partition(headers, dialect.partition) if dialect.partition else None,
                key=key,
                # one without a value must never go back: Spring throws on it and loses other replies
                correlation=(Header(name=dialect.correlation, value=correlation),) if correlation is not None else (),
            )
    return None


def request_name(headers: Headers) -> str:
    """What the caller named its request; empty if it did not."""
    return next((name for name in (text(headers, header) for header in REQUEST_NAMES) if name), "")


def cloudevent_headers(
    event: Event, request_id: str, source: str, time_ms: int, traceparent: str, *, serial: str = ""
) -> Headers:
    """The headers of an event: CloudEvents in binary mode, the request's id, and the trace that it belongs to.

    The event's id is made of the request's, so that a stage that runs twice writes the same one twice.
    """
    kind = type(event)
    headers = (
        _CLOUDEVENTS_1,
        ("ce_id", f"{request_id}/{kind.__name__}{serial}".encode()),
        *_headers_of_event(kind.__name__, kind.version, source),
        ("ce_time", rfc3339(time_ms).encode()),
        _AVRO,
        (REQUEST_ID, request_id.encode()),
    )
    return (*headers, ("traceparent", traceparent.encode())) if traceparent else headers


@functools.cache
def _headers_of_event(event: str, version: int, source: str) -> Headers:
    """What is the same in all events of a class from one stage."""
    name = f"sluice.llm.{event}.v{version}"
    return ("ce_source", f"/sluice/{source}".encode()), ("ce_type", name.encode())


def rfc3339(time_ms: int) -> str:
    """A point in time as text, in UTC with milliseconds."""
    second, milliseconds = divmod(time_ms, 1000)
    return f"{_formatted_second(second)}.{milliseconds:03}Z"


@functools.lru_cache(maxsize=256)
def _formatted_second(time_s: int) -> str:
    return datetime.fromtimestamp(time_s, UTC).isoformat().removesuffix("+00:00")


def dead_letter_headers(  # noqa: D417 - the parameters are the record's own
    topic: str,
    partition: int,
    offset: int,
    timestamp_ms: int,
    headers: Headers,
    *,
    stage: str,
    group: str,
    error: str,
    reason: str,
) -> Headers:
    """A dead record's headers: its own, untouched, then Spring's and Kafka Connect's.

    Ours come last, and the last of a name counts: whatever a caller has put there can't pass for them.

    Args:
        error: the class of what went wrong.
        reason: one sentence, without the record's content.

    """
    added: tuple[tuple[str, bytes], ...] = (
        ("kafka_dlt-original-topic", topic.encode()),
        ("kafka_dlt-original-partition", _INT.pack(partition)),
        ("kafka_dlt-original-offset", _LONG.pack(offset)),
        ("kafka_dlt-original-timestamp", _LONG.pack(timestamp_ms)),
        ("kafka_dlt-original-timestamp-type", b"CreateTime"),
        ("kafka_dlt-original-consumer-group", group.encode()),
        ("kafka_dlt-exception-fqcn", error.encode()),
        ("kafka_dlt-exception-message", reason.encode()),
        ("__connect.errors.topic", topic.encode()),
        ("__connect.errors.partition", str(partition).encode()),
        ("__connect.errors.offset", str(offset).encode()),
        ("__connect.errors.stage", stage.encode()),
        ("__connect.errors.exception.class.name", error.encode()),
        ("__connect.errors.exception.message", reason.encode()),
    )
    return (*headers, *added)
