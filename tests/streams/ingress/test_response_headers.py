"""No text can keep a response from being sent."""

from __future__ import annotations

import asyncio
import string

import h11
import orjson
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from structlog.testing import capture_logs
from uvicorn.protocols.http.httptools_impl import HEADER_VALUE_RE

from schemas.kafka.headers import RETRY_AFTER, SERVED_BY
from streams.ingress.response_headers import MAX_VALUE_BYTES, clean_headers, encode_header
from tests.streams.ingress.fake_log import StageAnswer
from tests.streams.ingress.gateway import CHAT, on_socket

NASTY = [
    "a\rb",
    "a\nb",
    "a\r\nX-Evil: 1",
    "\0",
    "\x1b[2J",
    "\x7f",
    "\x85",
    "日本語",
    "é",
    "\u2028",
    "x" * 70_000,
    " a\t",
    "",
]
TEXTS = st.one_of(
    st.sampled_from(NASTY),
    st.text(max_size=40),
    st.text(alphabet=string.whitespace + "\0\x0b\x1c\x85\u2029", max_size=9),
)
PLAIN = st.text(alphabet=string.ascii_letters + string.digits + "/.-_: ", max_size=40)


@given(st.lists(st.tuples(st.just(b"x-name"), st.binary(max_size=60)), max_size=6))
def test_cleaned_headers_can_be_sent_and_read(headers: list[tuple[bytes, bytes]]) -> None:
    cleaned = clean_headers(headers)

    assert [name for name, _ in cleaned] == [name for name, _ in headers]
    assert not any(HEADER_VALUE_RE.search(value) for _, value in cleaned)
    head = b"HTTP/1.1 200 OK\r\n" + b"".join(b"%s: %s\r\n" % header for header in cleaned) + b"\r\n"
    client = h11.Connection(h11.CLIENT)
    client.send(h11.Request(method="GET", target="/", headers=[("host", "x")]))
    client.receive_data(head)
    response = client.next_event()
    assert isinstance(response, h11.Response)
    assert [value for _, value in response.headers] == [value.strip() for _, value in cleaned]


@given(st.lists(st.tuples(st.just(b"x-name"), PLAIN.map(str.encode)), max_size=6))
def test_plain_values_are_unchanged(headers: list[tuple[bytes, bytes]]) -> None:
    assert clean_headers(headers) == headers


def test_each_unsafe_character_becomes_one_question_mark() -> None:
    value = encode_header("a\r\n日b\0é")

    assert clean_headers([(b"x", value)]) == [(b"x", b"a???b?\xe9")]


def test_long_value_is_cut() -> None:
    assert clean_headers([(b"x", b"a" * 5000)]) == [(b"x", b"a" * MAX_VALUE_BYTES)]


@settings(max_examples=15, deadline=None)
@given(st.lists(st.tuples(TEXTS, TEXTS, st.integers(-(2**63), 2**63 - 1)), min_size=1, max_size=10))
def test_paid_answer_reaches_its_caller_whatever_texts_its_headers_have(texts: list[tuple[str, str, int]]) -> None:
    async def ask_for_each() -> None:
        async with on_socket() as server:
            for target, outcome, retry_after in texts:
                extra = ((SERVED_BY, target.encode()), (RETRY_AFTER, b"%d" % retry_after))
                server.gateway.log.answers = lambda _, o=outcome, e=extra: StageAnswer(outcome=o, extra=e)  # type: ignore[misc]
                body = orjson.dumps(CHAT)
                head = b"POST /v1/chat/completions HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n"

                received = await server.exchange(head + b"Content-Length: %d\r\n\r\n%s" % (len(body), body))

                assert received.startswith(b"HTTP/1.1 200 "), (target, outcome)
                assert received.endswith(StageAnswer().body)
                assert b"\r\nX-Evil" not in received

    with capture_logs() as lines:
        asyncio.run(ask_for_each())
    assert [line["event"] for line in lines if line["event"] == "request.crashed"] == []


@pytest.mark.parametrize("status", [b"0", b"99", b"199", b"600", b"-1", b"99999999999999999999"])
async def test_reply_with_a_status_that_http_does_not_have_is_a_500(status: bytes) -> None:
    async with on_socket() as server:
        server.gateway.log.answers = lambda _: StageAnswer(extra=(("sluice-status", status),))
        body = orjson.dumps(CHAT)
        head = b"POST /v1/chat/completions HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n"

        received = await server.exchange(head + b"Content-Length: %d\r\n\r\n%s" % (len(body), body))

    assert received.startswith(b"HTTP/1.1 500 ")
