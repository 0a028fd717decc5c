from __future__ import annotations

import re
import struct
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from schemas.events.parts import Header, ReplyTo
from schemas.kafka.headers import BadHeaderError, Headers, last_value, text
from schemas.kafka.request_headers import (
    REPLY_HEADER_STYLES,
    REQUEST_NAMES,
    InvalidHeaderError,
    ReplyHeaderStyle,
    RequestHeaders,
    read_idempotency_key,
    read_reply_address,
    read_request_headers,
)

CORRELATION = bytes(range(240, 256))
"""Sixteen bytes that are not UTF-8, as Spring's correlation ids are."""
ABSENT = RequestHeaders(
    idempotency_key="",
    operation=None,
    lane="interactive",
    timeout_ms=None,
    traceparent="",
    stream_topic="",
    reply_to=None,
)


def reply_headers(style: ReplyHeaderStyle, partition: bytes | None = None) -> Headers:
    headers: list[tuple[str, bytes | None]] = [(style.topic, b"llm.replies.me"), (style.correlation, CORRELATION)]
    if style.partition and partition is not None:
        headers.append((style.partition, partition))
    return tuple(headers)


def test_record_without_headers_has_defaults() -> None:
    assert read_request_headers((), b"key") == ABSENT


def test_all_headers_are_read_in_one_pass() -> None:
    headers: Headers = (
        ("Idempotency-Key", b"order-1"),
        ("operation", b"embeddings"),
        ("sluice-lane", b"batch"),
        ("deadline-ms", b"4000"),
        ("traceparent", b"00-aa-bb-01"),
        ("sluice-stream-to", b"llm.replies.chunks"),
        ("reply-topic", b"llm.replies.me"),
    )

    assert read_request_headers(headers, b"key") == RequestHeaders(
        idempotency_key="order-1",
        operation="embeddings",
        lane="batch",
        timeout_ms=4000,
        traceparent="00-aa-bb-01",
        stream_topic="llm.replies.chunks",
        reply_to=ReplyTo(topic="llm.replies.me", key=b"key"),
    )


@pytest.mark.parametrize("style", REPLY_HEADER_STYLES, ids=lambda style: style.name)
def test_each_reply_style_gets_its_correlation_back_unchanged(style: ReplyHeaderStyle) -> None:
    reply_to = read_reply_address(reply_headers(style), b"key")

    assert reply_to == ReplyTo(
        topic="llm.replies.me", key=b"key", correlation=(Header(name=style.correlation, value=CORRELATION),)
    )


@pytest.mark.parametrize("style", [each for each in REPLY_HEADER_STYLES if each.partition], ids=lambda each: each.name)
@pytest.mark.parametrize(
    ("value", "partition"),
    [(struct.pack(">i", 3), 3), (b"3", 3), (b"12", 12), (b"1234", 1234), (struct.pack(">i", 0), 0), (None, None)],
)
def test_reply_partition_is_a_big_endian_integer_or_digits(
    style: ReplyHeaderStyle, value: bytes | None, partition: int | None
) -> None:
    reply_to = read_reply_address(reply_headers(style, value), None)

    assert reply_to is not None
    assert reply_to.partition == partition


@pytest.mark.parametrize("value", [b"", b"x", b"-1", b"1.0", b"\x00\x01", b"\xff" * 4, b"9" * 11, b"9" * 5000])
def test_bad_reply_partition_is_named_without_its_value(value: bytes) -> None:
    plain = REPLY_HEADER_STYLES[-1]

    with pytest.raises(BadHeaderError, match=r"^header reply-partition is neither a 4-byte integer nor digits$"):
        read_reply_address(reply_headers(plain, value), None)


@pytest.mark.parametrize(
    "headers", [(("correlation-id", b"c"), ("kafka_correlationId", b"c")), (("reply-topic", b""),)]
)
def test_record_without_reply_topic_has_no_reply_address(headers: Headers) -> None:
    assert read_reply_address(headers, b"k") is None


def test_first_reply_style_of_the_table_wins() -> None:
    spring, *_, plain = REPLY_HEADER_STYLES
    headers = (("reply-topic", b"other"), ("correlation-id", b"other"), *reply_headers(spring))

    reply_to = read_reply_address(headers, None)

    assert reply_to is not None
    assert reply_to.topic == "llm.replies.me"
    assert [header.name for header in reply_to.correlation] == [spring.correlation]
    assert plain.topic == "reply-topic"


@pytest.mark.parametrize(("value", "correlation"), [(None, ()), (b"", (Header(name="correlation-id", value=b""),))])
def test_only_a_correlation_with_a_value_is_echoed(value: bytes | None, correlation: tuple[Header, ...]) -> None:
    reply_to = read_reply_address((("reply-topic", b"t"), ("correlation-id", value)), None)

    assert reply_to is not None
    assert reply_to.correlation == correlation


def test_reply_topic_that_is_not_utf8_is_named_without_its_value() -> None:
    with pytest.raises(BadHeaderError, match=r"^header reply-topic is not UTF-8$"):
        read_reply_address((("reply-topic", b"\xff\xfe"),), None)


@pytest.mark.parametrize(
    ("headers", "key"),
    [
        ((("ce_id", b"second"), ("Idempotency-Key", b"first")), "first"),
        ((("request_id", b"third"), ("ce_id", b"second")), "second"),
        ((("request_id", b"third"),), "third"),
        ((("Idempotency-Key", b""), ("ce_id", b"second")), "second"),
        ((("other", b"x"),), ""),
    ],
)
def test_first_nonempty_header_is_the_idempotency_key(headers: Headers, key: str) -> None:
    assert read_idempotency_key(headers) == key
    assert read_request_headers(headers, None).idempotency_key == key


def test_idempotency_key_has_at_most_255_characters() -> None:
    assert read_request_headers((("ce_id", b"x" * 255),), None).idempotency_key == "x" * 255
    with pytest.raises(InvalidHeaderError, match="255"):
        read_request_headers((("ce_id", b"x" * 256),), None)


@pytest.mark.parametrize(
    ("headers", "operation"),
    [
        ((), None),
        ((("ce_type", b"com.acme.embeddings.requested"),), "embeddings"),
        ((("ce_type", b"com.acme.something"),), None),
        ((("operation", b"chat"), ("ce_type", b"embeddings")), "chat"),
    ],
)
def test_operation_comes_from_its_header_or_from_ce_type(headers: Headers, operation: str | None) -> None:
    assert read_request_headers(headers, None).operation == operation


@pytest.mark.parametrize(
    ("header", "error"),
    [
        (("operation", b"images"), InvalidHeaderError),
        (("operation", b"\xff"), BadHeaderError),
        (("sluice-lane", b"express"), InvalidHeaderError),
        *((("deadline-ms", value), InvalidHeaderError) for value in (b"0", b"-5", b"1.5", b"soon", b"3600001")),
        *((("deadline-ms", value), InvalidHeaderError) for value in (b"9" * 40, "\u0661".encode(), b" 5")),
    ],
)
def test_error_names_the_header(header: tuple[str, bytes], error: type[Exception]) -> None:
    with pytest.raises(error, match=header[0]):
        read_request_headers((header,), None)


NAMES = (
    *REQUEST_NAMES,
    *("operation", "ce_type", "sluice-lane", "deadline-ms", "sluice-stream-to", "traceparent", "other"),
    *(name for style in REPLY_HEADER_STYLES for name in (style.topic, style.partition, style.correlation) if name),
)
VALUES = (
    *(None, b"", b"\xff", b"chat", b"embeddings", b"a.chat.b", b"batch", b"interactive", b"express", b"0", b"20"),
    *(b"3600000", b"3600001", b"0000000020", b"7", b"\0\0\0\x05", b"llm.replies.me", b"x" * 255, b"x" * 256),
)


@given(
    st.lists(
        st.tuples(st.sampled_from(NAMES), st.sampled_from(VALUES) | st.none() | st.binary(max_size=12)), max_size=12
    )
)
def test_one_pass_gives_the_same_as_reading_each_field_alone(headers: list[tuple[str, bytes | None]]) -> None:
    given_headers = tuple(headers)

    assert result(read_request_headers, given_headers) == result(_read_each_field, given_headers)


def result(read: Any, headers: Headers) -> object:
    try:
        return read(headers, b"key")
    except (BadHeaderError, InvalidHeaderError) as error:
        return type(error), str(error)


def _read_each_field(headers: Headers, key: bytes) -> RequestHeaders:
    """Read every field with a scan of its own, in the order that decides which of several errors is raised."""
    lane = text(headers, "sluice-lane")
    if lane not in ("", "interactive", "batch"):
        raise InvalidHeaderError("header sluice-lane is neither interactive nor batch")
    operation = _operation(headers)
    timeout_ms = text(headers, "deadline-ms")
    if timeout_ms and not (re.fullmatch(r"[0-9]{1,9}", timeout_ms) and 0 < int(timeout_ms) <= 3_600_000):
        raise InvalidHeaderError("header deadline-ms is not a whole number from 1 to 3600000")
    idempotency_key = next((value for value in (text(headers, name) for name in REQUEST_NAMES) if value), "")
    if len(idempotency_key) > 255:
        raise InvalidHeaderError("the idempotency key is longer than 255 characters")
    fields: dict[str, Any] = {
        "lane": lane or "interactive",
        "operation": operation,
        "timeout_ms": int(timeout_ms) if timeout_ms else None,
        "idempotency_key": idempotency_key,
        "stream_topic": text(headers, "sluice-stream-to"),
        "traceparent": text(headers, "traceparent"),
        "reply_to": _reply_to(headers, key),
    }
    return RequestHeaders(**fields)


def _operation(headers: Headers) -> str | None:
    operation = text(headers, "operation")
    if operation and operation not in ("chat", "embeddings"):
        raise InvalidHeaderError("header operation is neither chat nor embeddings")
    if operation:
        return operation
    return next((word for word in text(headers, "ce_type").split(".") if word in ("chat", "embeddings")), None)


def _reply_to(headers: Headers, key: bytes) -> ReplyTo | None:
    for style in REPLY_HEADER_STYLES:
        topic = text(headers, style.topic)
        if topic:
            correlation = last_value(headers, style.correlation)
            echoed = (Header(name=style.correlation, value=correlation),) if correlation is not None else ()
            partition = _partition(headers, style.partition) if style.partition else None
            return ReplyTo(topic=topic, partition=partition, key=key, correlation=echoed)
    return None


def _partition(headers: Headers, name: str) -> int | None:
    value = last_value(headers, name)
    if value is None:
        return None
    number = -1
    if value.isdigit() and len(value) <= 10:
        number = int(value)
    elif len(value) == 4:
        number = int.from_bytes(value, "big", signed=True)
    if number < 0:
        raise BadHeaderError(f"header {name} is neither a 4-byte integer nor digits")
    return number
