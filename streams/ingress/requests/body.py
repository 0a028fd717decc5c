"""Reader of request bodies, with a limit of size and of time.

A body that is too large is discarded while it arrives, and rejected at its end: most clients read no response before
they have sent the whole body, and would see a broken connection instead.
"""

from __future__ import annotations

import asyncio
import contextlib

from starlette.types import Receive

from schemas.events.parts import Failure
from streams.ingress.errors import INVALID_REQUEST_ERROR, ApiError, bad_request

BODY_TIMEOUT_S = 30.0
"""From the headers to the last byte of the body."""
DISCARD_BYTES = 64 * 1024 * 1024
DISCARD_S = 5.0
"""Limits of discarding a body that is too large."""


class ClientDisconnectedError(Exception):
    """The client disconnected before its request was complete, so no response can be sent."""


async def read_body(receive: Receive, headers: dict[bytes, bytes], limit: int) -> bytes:
    """Return the whole body.

    Args:
        receive: ASGI's callable, which returns the body in chunks.
        headers: of the request.
        limit: maximum size in bytes.

    Raises:
        ApiError: 413, the body is larger than the limit; 415, it is compressed; 408, it took too long.
        ClientDisconnectedError: the client disconnected.

    """
    if headers.get(b"content-encoding", b"identity").lower() != b"identity":
        raise _body_error(415, "unsupported_encoding", "Send the body without Content-Encoding.")
    if _declared_length(headers) > limit:
        await _discard(receive)
        raise _too_large(limit)
    try:
        async with asyncio.timeout(BODY_TIMEOUT_S):
            return await _read(receive, limit)
    except TimeoutError:
        message = f"The body did not arrive within {BODY_TIMEOUT_S:.0f} seconds."
        raise _body_error(408, "request_timeout", message) from None


async def _read(receive: Receive, limit: int) -> bytes:
    chunks: list[bytes] = []
    size = 0
    more = True
    while more:
        message = await receive()
        if message["type"] == "http.disconnect":
            raise ClientDisconnectedError
        chunk, more = message.get("body", b""), message.get("more_body", False)
        size += len(chunk)
        if size > limit:
            chunks.clear()
            if more:
                await _discard(receive)
            raise _too_large(limit)
        chunks.append(chunk)
    return chunks[0] if len(chunks) == 1 else b"".join(chunks)


async def _discard(receive: Receive) -> None:
    """Read and discard the rest, up to the limits of size and time."""
    size, more = 0, True
    with contextlib.suppress(TimeoutError):
        async with asyncio.timeout(DISCARD_S):
            while more and size < DISCARD_BYTES:
                message = await receive()
                size += len(message.get("body", b""))
                more = message["type"] == "http.request" and message.get("more_body", False)


def _declared_length(headers: dict[bytes, bytes]) -> int:
    """Return the declared length; 0 without one, because a chunked body is counted while it is read."""
    try:
        return int(headers.get(b"content-length", b"0"))
    except ValueError:
        raise bad_request("invalid_header", "Content-Length is not a number.") from None


def _too_large(limit: int) -> ApiError:
    return _body_error(413, "request_too_large", f"The body is larger than the limit of {limit} bytes.")


def _body_error(status: int, code: str, message: str) -> ApiError:
    return ApiError(Failure(status=status, type=INVALID_REQUEST_ERROR, code=code, message=message))
