"""Headers of the records that Sluice writes, and access to the headers of any record.

Headers that Sluice originates are UTF-8 text. A caller's correlation bytes are echoed untouched, under their own name.
"""

from __future__ import annotations

import functools
import struct
from datetime import UTC, datetime

from schemas.events.catalog import Event

Headers = tuple[tuple[str, bytes | None], ...]
"""Headers of a record in Kafka's order. A name may be repeated, and a value may be missing."""

_INT = struct.Struct(">i")
_LONG = struct.Struct(">q")
_CLOUDEVENTS_1 = ("ce_specversion", b"1.0")
_AVRO = ("content-type", b"application/avro")

REQUEST_ID = "request_id"
"""On every record that Sluice writes. On a request record it may hold the idempotency key."""
TRACEPARENT = "traceparent"
"""W3C trace context of the request."""
STATUS = "sluice-status"
"""On a reply: the HTTP status of the same outcome over HTTP."""
OUTCOME = "sluice-outcome"
"""On a reply: answered, refused, failed or expired."""
ERROR = "sluice-error"
"""On a reply without an answer: the error code."""
SEQUENCE = "sluice-sequence"
"""On a chunk: its number within its stream, from 0, as text."""
ATTEMPT = "sluice-attempt"
"""On a chunk: the number of the attempt that produced it. A second attempt, after a crash, starts again at chunk 0."""
STREAMED = "sluice-streamed"
"""On a reply whose answer was requested as a stream."""
SERVED_BY = "sluice-target"
"""On a reply: the provider/model that answered."""
FINGERPRINT = "sluice-asked"
"""On the ``AttemptFinished`` that answers a request with an idempotency key, and on no other record: a fingerprint of
its request. The lookup of a recorded answer reads only the records that have this header."""
SIGNATURE = "sluice-signature"
"""On the ingress's request events: HMAC-SHA256 in hexadecimal digits (``streams.pipeline.event_signatures``)."""
RETRY_AFTER = "retry-after-ms"
"""On a reply without an answer: milliseconds to wait before a retry, as text; absent if unknown."""


class BadHeaderError(ValueError):
    """A header that Sluice must understand can't be decoded. The message names the header, never its value."""


def last_value(headers: Headers, name: str) -> bytes | None:
    """Return the value of the last header of this name: in a repeated header, every framework uses the last value."""
    return next((value for key, value in reversed(headers) if key == name), None)


def text(headers: Headers, name: str) -> str:
    """Return the value of the last header of this name as text; empty if there is none.

    Raises:
        BadHeaderError: it is not UTF-8.

    """
    return decode_text(last_value(headers, name), name)


def decode_text(value: bytes | None, name: str) -> str:
    """Return the value of a header as text; empty without a value.

    Raises:
        BadHeaderError: it is not UTF-8.

    """
    try:
        return value.decode() if value else ""
    except UnicodeDecodeError as error:
        raise BadHeaderError(f"header {name} is not UTF-8") from error


def cloudevent_headers(
    event: Event, request_id: str, source: str, time_ms: int, traceparent: str, *, serial: str = ""
) -> Headers:
    """Return the headers of an event: CloudEvents in binary mode, the request id, and the trace context.

    The event id is derived from the request id, so a stage that processes a record twice writes the same id twice.
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
    return (*headers, (TRACEPARENT, traceparent.encode())) if traceparent else headers


@functools.cache
def _headers_of_event(event: str, version: int, source: str) -> Headers:
    """Return the headers that all events of a class from one stage share."""
    name = f"sluice.llm.{event}.v{version}"
    return ("ce_source", f"/sluice/{source}".encode()), ("ce_type", name.encode())


def rfc3339(time_ms: int) -> str:
    """Format a time in UTC with milliseconds, as RFC 3339 has it."""
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
    """Return the headers of a dead letter: the record's own, untouched, then those of Spring and of Kafka Connect.

    The added headers come last, and the last value of a name counts: a caller can't forge them.

    Args:
        error: the class of the error.
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
