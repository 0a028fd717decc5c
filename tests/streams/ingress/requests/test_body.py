from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable

import pytest
from starlette.types import Message
from structlog.testing import capture_logs

from streams.ingress.errors import ApiError
from streams.ingress.requests import body as bodies
from streams.ingress.requests.body import ClientDisconnectedError, read_body
from tests.streams.ingress.gateway import Gateway


def arriving(*chunks: bytes | None) -> tuple[Callable[[], Awaitable[Message]], list[Message]]:
    """A receive channel of these chunks, None being the end of the connection; and what is left in it."""
    left: list[Message] = [
        {"type": "http.disconnect"}
        if chunk is None
        else {"type": "http.request", "body": chunk, "more_body": index < len(chunks) - 1}
        for index, chunk in enumerate(chunks)
    ]

    async def receive() -> Message:
        return left.pop(0)

    return receive, left


async def test_body_is_joined_from_its_chunks() -> None:
    receive, _ = arriving(b"ab", b"", b"\xff")

    assert await read_body(receive, {}, limit=3) == b"ab\xff"


async def test_chunked_body_beyond_the_limit_is_discarded_and_rejected() -> None:
    receive, left = arriving(b"ab", b"cd", b"ef", b"gh")

    with pytest.raises(ApiError) as caught:
        await read_body(receive, {}, limit=3)

    assert caught.value.failure.status == 413
    assert not left


async def test_body_with_a_too_large_content_length_is_discarded_and_rejected() -> None:
    receive, left = arriving(b"abcd")

    with pytest.raises(ApiError, match="limit of 3 bytes"):
        await read_body(receive, {b"content-length": b"4"}, limit=3)

    assert not left


async def test_discarding_a_body_is_limited(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(bodies, "DISCARD_BYTES", 6)
    receive, left = arriving(*[b"ab"] * 10)

    with pytest.raises(ApiError, match="limit of 1 bytes"):
        await read_body(receive, {b"content-length": b"20"}, limit=1)

    assert len(left) == 7


@pytest.mark.parametrize(
    ("headers", "status"), [({b"content-length": b"many"}, 400), ({b"content-encoding": b"gzip"}, 415)]
)
async def test_unsupported_body_headers_are_rejected(headers: dict[bytes, bytes], status: int) -> None:
    receive, _ = arriving(b"{}")

    with pytest.raises(ApiError) as caught:
        await read_body(receive, headers, limit=10)

    assert caught.value.failure.status == status


async def test_disconnect_during_the_body_raises_client_disconnected() -> None:
    receive, _ = arriving(b"ab", None)

    with pytest.raises(ClientDisconnectedError):
        await read_body(receive, {}, limit=10)


async def test_slow_body_times_out(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(bodies, "BODY_TIMEOUT_S", 0.01)

    async def receive() -> Message:
        await asyncio.Event().wait()
        raise AssertionError

    with pytest.raises(ApiError) as caught:
        await read_body(receive, {}, limit=10)

    assert caught.value.failure.status == 408


@pytest.mark.parametrize(
    "path", ["/v1/chat/completions", "/v1/embeddings", "/v1/messages", "/v1/responses", "/v1/feedback"]
)
async def test_client_that_disconnects_within_its_body_is_counted_and_not_logged(gateway: Gateway, path: str) -> None:
    receive, _ = arriving(b'{"a', None)
    scope = {"type": "http", "method": "POST", "path": path, "headers": [], "query_string": b""}
    sent: list[Message] = []

    async def send(message: Message) -> None:
        sent.append(message)

    with capture_logs() as lines:
        await gateway.ingress(scope, receive, send)

    assert (sent, lines, gateway.log.written) == ([], [], [])
    metrics = (await gateway.http.get("/metrics")).text
    assert f'http_request_method="POST",http_response_status_code="499",http_route="{path}"' in metrics
