"""uvicorn's HTTP/1.1 protocol with limits on the size of request headers and on the time a client may take.

uvicorn accepts headers of any size and any number of pipelined requests, and waits without limit for the end of the
headers and for a client that does not read its response. A request with two Host headers is refused as well, because a
proxy in front may have checked the one and this server would use the other. So is an HTTP/1.1 request without Host, as
RFC 9112 (3.2) requires.
"""

from __future__ import annotations

import asyncio
from typing import Any

import httptools
from uvicorn.protocols.http.httptools_impl import STATUS_LINE, HttpToolsProtocol

from schemas.events.parts import Failure
from schemas.openai.bodies import error_body

MAX_HEAD_BYTES = 64 * 1024
"""Limit for the request line and headers; up to one read of the socket more may be buffered before it is noticed."""
_SEPARATORS = len(b": \r\n")
HEAD_TIMEOUT_S = 15.0
"""From the first byte of a request to the end of its headers."""
IDLE_TIMEOUT_S = 75.0
"""Time that a new connection may be open before it sends its first byte."""
WRITE_STALL_TIMEOUT_S = 60.0
"""Time that a client may read nothing of a response that is being sent."""
MAX_PIPELINED = 32
"""Requests of one connection that may wait for the response to an earlier one; one more closes the connection."""


class _RefusedHead(Exception):  # noqa: N818 - never seen outside
    """Raised in the parser's callbacks to stop the parser."""


class BoundedProtocol(HttpToolsProtocol):
    """Protocol of one connection."""

    def __init__(self, *args: Any, **kwargs: Any) -> None:  # noqa: ANN401 - uvicorn's own
        super().__init__(*args, **kwargs)
        self._head_bytes: int | None = None
        """Bytes of an incomplete head, without the read in which it began; None while no head is incomplete."""
        self._read_bytes = 0
        self._head_timer: asyncio.TimerHandle | None = None
        self._write_timer: asyncio.TimerHandle | None = None
        self._refusal = _failure(400, "malformed_request", "The request is not valid HTTP/1.1 (RFC 9112).")

    # --- callbacks of asyncio

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
        """Start the idle timer: a connection that sends nothing is closed like one that is kept alive too long."""
        super().connection_made(transport)
        self.timeout_keep_alive_task = self.loop.call_later(IDLE_TIMEOUT_S, self.timeout_keep_alive_handler)

    def connection_lost(self, exc: Exception | None) -> None:
        """Cancel the timers."""
        _cancel(self._head_timer)
        _cancel(self._write_timer)
        self._unset_keepalive_if_required()
        super().connection_lost(exc)

    def data_received(self, data: bytes) -> None:
        """Parse the bytes, and check the limits."""
        if self.transport.is_closing():
            return  # the request was refused: ignore the rest
        self._unset_keepalive_if_required()
        self._read_bytes = len(data)
        try:
            self.parser.feed_data(data)
        except httptools.HttpParserUpgrade:  # no upgrade is supported: the request is answered as it is
            if self.cycle is not None:
                self.cycle.keep_alive = False
        except httptools.HttpParserError:
            self._refuse(self._refusal)
        else:
            self._bound_head()

    def pause_writing(self) -> None:
        """Start the timer of a client that does not read."""
        super().pause_writing()
        _cancel(self._write_timer)
        self._write_timer = self.loop.call_later(WRITE_STALL_TIMEOUT_S, self.transport.abort)

    def resume_writing(self) -> None:
        """Cancel the timer: the client has read."""
        _cancel(self._write_timer)
        super().resume_writing()

    # --- callbacks of the parser

    def on_message_begin(self) -> None:
        """Start to count a head. Most of this read may precede it: a body, or other requests."""
        super().on_message_begin()
        self._head_bytes = -self._read_bytes

    def on_headers_complete(self) -> None:
        """Refuse a head that is too large, that names several hosts or none, or that too many others precede."""
        _cancel(self._head_timer)
        self._head_bytes = self._head_timer = None
        if len(self.pipeline) >= MAX_PIPELINED:
            raise _RefusedHead
        size = len(self.url) + sum(len(name) + len(value) + _SEPARATORS for name, value in self.headers)
        if size > MAX_HEAD_BYTES:
            self._refusal = _TOO_LARGE
            raise _RefusedHead
        hosts = sum(name == b"host" for name, _ in self.headers)
        if hosts > 1 or (not hosts and self.parser.get_http_version() != "1.0"):
            raise _RefusedHead
        super().on_headers_complete()

    def on_response_complete(self) -> None:
        """Continue with the next request, unless this one was refused before the end of its body: then close."""
        if self.cycle.more_body:
            self.transport.close()
        super().on_response_complete()

    # --- limits

    def _bound_head(self) -> None:
        """Limit the size of an incomplete head, and the time until it is complete."""
        if self._head_bytes is None:
            return
        self._head_bytes += self._read_bytes
        if self._head_bytes > MAX_HEAD_BYTES:
            self._refuse(_TOO_LARGE)
        elif self._head_timer is None:
            self._head_timer = self.loop.call_later(HEAD_TIMEOUT_S, self._refuse, _HEAD_TIMED_OUT)

    def _refuse(self, failure: Failure) -> None:
        """Send a refusal and close. If another request's response is due next, close without one."""
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
_HEAD_TIMED_OUT = _failure(408, "request_timeout", f"The headers did not arrive within {HEAD_TIMEOUT_S:.0f} seconds.")
