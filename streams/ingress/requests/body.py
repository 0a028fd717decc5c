"""Reading a request's body: never more than the limit is kept, and never for longer than a body may take.

What is too large is thrown away as it comes, and refused when it is over: most clients read no answer before they have
sent everything, and would see a broken connection in its place.
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
"""How much of a body that is too large is read for the sake of a clear answer."""


class ClientDisconnectedError(Exception):
    """The client went away before its request was whole: nobody is there to answer."""


async def read_body(receive: Receive, headers: dict[bytes, bytes], limit: int) -> bytes:
    """The whole body, as it came.

    Args:
        receive: where ASGI gives it, in pieces.
        headers: the request's.
        limit: the most that is taken, in bytes.

    Raises:
        RefusedError: 413 it is longer than the limit, 415 it is compressed, 408 it took too long.
        HungUpError: the client went away.

    """
    if headers.get(b"content-encoding", b"identity").lower() != b"identity":
        raise _refused(415, "unsupported_encoding", "Send the body without Content-Encoding.")
    if _declared_length(headers) > limit:
        await _discard(receive)
        raise _too_large(limit)
    try:
        async with asyncio.timeout(BODY_TIMEOUT_S):
            return await _read(receive, limit)
    except TimeoutError:
        message = f"The body did not arrive within {BODY_TIMEOUT_S:.0f} seconds."
        raise _refused(408, "request_timeout", message) from None


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
    """Read and forget the rest, as far as that is worth the bytes and the time."""
    size, more = 0, True
    with contextlib.suppress(TimeoutError):
        async with asyncio.timeout(DISCARD_S):
            while more and size < DISCARD_BYTES:
                message = await receive()
                size += len(message.get("body", b""))
                more = message["type"] == "http.request" and message.get("more_body", False)


def _declared_length(headers: dict[bytes, bytes]) -> int:
    """Zero if the length is not said: a chunked body is counted as it comes."""
    try:
        return int(headers.get(b"content-length", b"0"))
    except ValueError:
        raise bad_request("invalid_header", "Content-Length is not a number.") from None


def _too_large(limit: int) -> ApiError:
    return _refused(413, "request_too_large", f"The body is larger than {limit} bytes, the most that is taken here.")


def _refused(status: int, code: str, message: str) -> ApiError:
    return ApiError(Failure(status=status, type=INVALID_REQUEST_ERROR, code=code, message=message))
