"""HTTP/1.1 at the socket: uvicorn's protocol, with an end to what one connection may hold and how long it may dawdle.

uvicorn keeps a head of any size, waits for ever for its last line, and for ever for a client that does not read. A head
with two hosts is refused as well: what stands before us may have let it in for the one, and we would serve the other.
So is one of HTTP/1.1 without any, as RFC 9112 (3.2) has it.
"""

from __future__ import annotations

import asyncio
from typing import Any

import httptools
from uvicorn.protocols.http.httptools_impl import STATUS_LINE, HttpToolsProtocol

from schemas.events.parts import Failure
from schemas.openai.bodies import error_body

MAX_HEAD_BYTES = 64 * 1024
"""Of a request line and its headers; up to one read of the socket more may be held before it is noticed."""
_AROUND = len(b": \r\n")
HEAD_TIMEOUT_S = 15.0
"""From the first byte of a request to the end of its headers."""
IDLE_TIMEOUT_S = 75.0
"""How long a connection may be open before it says anything."""
WRITE_STALL_TIMEOUT_S = 60.0
"""How long a client may read nothing of a response that is on its way."""


class _RefusedHead(Exception):  # noqa: N818 - never seen outside
    """Raised in the parser's callbacks, to stop it."""


class BoundedProtocol(HttpToolsProtocol):
    """One connection."""

    def __init__(self, *args: Any, **kwargs: Any) -> None:  # noqa: ANN401 - uvicorn's own
        super().__init__(*args, **kwargs)
        self._head: int | None = None
        """Bytes of a head that is not complete, without the read that it began in; None while there is none."""
        self._read = 0
        self._late: asyncio.TimerHandle | None = None
        self._unread: asyncio.TimerHandle | None = None
        self._refusal = _failure(400, "malformed_request", "This is not HTTP/1.1 as RFC 9112 has it.")

    # --- asyncio's side

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
        """Take a connection; one that says nothing is closed like one that has nothing more to say."""
        super().connection_made(transport)
        self.timeout_keep_alive_task = self.loop.call_later(IDLE_TIMEOUT_S, self.timeout_keep_alive_handler)

    def connection_lost(self, exc: Exception | None) -> None:
        """Forget it."""
        _cancel(self._late)
        _cancel(self._unread)
        self._unset_keepalive_if_required()
        super().connection_lost(exc)

    def data_received(self, data: bytes) -> None:
        """Parse what came."""
        if self.transport.is_closing():
            return  # it was refused, and what follows is none of our business
        self._unset_keepalive_if_required()
        self._read = len(data)
        try:
            self.parser.feed_data(data)
        except httptools.HttpParserUpgrade:  # there is nothing to upgrade to: the request is answered, and that is all
            if self.cycle is not None:
                self.cycle.keep_alive = False
        except httptools.HttpParserError:
            self._refuse(self._refusal)
        else:
            self._bound_head()

    def pause_writing(self) -> None:
        """Give a client that does not read its time."""
        super().pause_writing()
        _cancel(self._unread)
        self._unread = self.loop.call_later(WRITE_STALL_TIMEOUT_S, self.transport.abort)

    def resume_writing(self) -> None:
        """Go on: it has read."""
        _cancel(self._unread)
        super().resume_writing()

    # --- the parser's side

    def on_message_begin(self) -> None:
        """Begin a head. Of this read, what went before it may be most: a body, other requests."""
        super().on_message_begin()
        self._head = -self._read

    def on_headers_complete(self) -> None:
        """Let a head in that is of a decent size and meant for one host."""
        _cancel(self._late)
        self._head = self._late = None
        size = len(self.url) + sum(len(name) + len(value) + _AROUND for name, value in self.headers)
        if size > MAX_HEAD_BYTES:
            self._refusal = _TOO_LARGE
            raise _RefusedHead
        hosts = sum(name == b"host" for name, _ in self.headers)
        if hosts > 1 or (not hosts and self.parser.get_http_version() != "1.0"):
            raise _RefusedHead
        super().on_headers_complete()

    def on_response_complete(self) -> None:
        """Go on to the next request, but not behind a body that was refused before its end."""
        if self.cycle.more_body:
            self.transport.close()
        super().on_response_complete()

    # --- its own

    def _bound_head(self) -> None:
        """See that a head that is not complete will be, soon."""
        if self._head is None:
            return
        self._head += self._read
        if self._head > MAX_HEAD_BYTES:
            self._refuse(_TOO_LARGE)
        elif self._late is None:
            self._late = self.loop.call_later(HEAD_TIMEOUT_S, self._refuse, _LATE)

    def _refuse(self, failure: Failure) -> None:
        """Say no and hang up; where another request's response would be next, only hang up."""
        if self.transport.is_closing():
            return
        cycle = self.cycle
        answers_another = cycle is not None and not cycle.response_complete
        answers_itself = cycle is not None and cycle.more_body and not cycle.response_started and not self.pipeline
        if not answers_another or answers_itself:
            body = error_body(failure)
            head = b"content-type: application/json\r\ncontent-length: %d\r\nconnection: close\r\n\r\n" % len(body)
            self.transport.write(STATUS_LINE[failure.status] + head + body)
        self.transport.close()


def _cancel(timer: asyncio.TimerHandle | None) -> None:
    if timer is not None:
        timer.cancel()


def _failure(status: int, code: str, message: str) -> Failure:
    return Failure(status=status, type="invalid_request_error", code=code, message=message)


_TOO_LARGE = _failure(431, "headers_too_large", f"The headers are larger than {MAX_HEAD_BYTES} bytes.")
_LATE = _failure(408, "request_timeout", f"The headers did not arrive within {HEAD_TIMEOUT_S:.0f} seconds.")
