"""Server-sent events, read as they come: any cut between bytes, any line ending; comments and unknown fields pass."""

from __future__ import annotations

from typing import NamedTuple

from connectors.providers.provider import ProviderError

MAX_EVENT_BYTES = 4 * 1024 * 1024
"""One event beyond this is no token, and would fill the memory."""


class ServerSentEvent(NamedTuple):
    """One event."""

    name: str
    """Its name; empty if it has none."""
    data: str


class SseReader:
    """Takes bytes in, gives whole events out."""

    def __init__(self) -> None:
        self._rest = b""
        self._event = ""
        self._data: list[str] = []
        self._size = 0

    def feed(self, data: bytes) -> list[ServerSentEvent]:
        """The events that are complete now.

        Raises:
            ProviderError: server, if one is too large or not UTF-8.

        """
        lines = (self._rest + data).split(b"\n")
        self._rest = lines.pop()
        self._size += len(data)
        if len(self._rest) > MAX_EVENT_BYTES or (self._data and self._size > MAX_EVENT_BYTES):
            raise ProviderError("server", f"an event of the stream is larger than {MAX_EVENT_BYTES} bytes")
        return [event for line in lines if (event := self._line(line.rstrip(b"\r"))) is not None]

    def finish(self) -> list[ServerSentEvent]:
        """The event that the end of the stream completes, for servers that leave out the last empty line."""
        return [event for line in (self._rest, b"") if (event := self._line(line.rstrip(b"\r"))) is not None]

    def _line(self, line: bytes) -> ServerSentEvent | None:
        if not line:
            return self._complete()
        try:
            field, _, value = line.decode().partition(":")
        except UnicodeDecodeError:
            raise ProviderError("server", "the stream is not UTF-8") from None
        value = value.removeprefix(" ")
        if field == "data":
            self._data.append(value)
        elif field == "event":
            self._event = value
        return None

    def _complete(self) -> ServerSentEvent | None:
        event, data = self._event, self._data
        self._event, self._data, self._size = "", [], 0
        return ServerSentEvent(event, "\n".join(data)) if data else None
