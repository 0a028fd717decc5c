"""Incremental reader of server-sent events.

It accepts any cut between bytes and any line ending, and ignores comments and unknown fields.
"""

from __future__ import annotations

from typing import NamedTuple

from connectors.providers.provider import ProviderError

MAX_EVENT_BYTES = 4 * 1024 * 1024
"""Largest event. It bounds the memory that a faulty server can take."""


class ServerSentEvent(NamedTuple):
    """One server-sent event."""

    name: str
    """The event's name; empty if it has none."""
    data: str


class SseReader:
    """Reader that takes bytes and returns complete events."""

    def __init__(self) -> None:
        self._buffer = b""
        self._event = ""
        self._data: list[str] = []
        self._size = 0

    def feed(self, data: bytes) -> list[ServerSentEvent]:
        """Return the events that these bytes complete.

        Raises:
            ProviderError: server, if one is too large or not UTF-8.

        """
        lines = (self._buffer + data).split(b"\n")
        self._buffer = lines.pop()
        self._size += len(data)
        if len(self._buffer) > MAX_EVENT_BYTES or (self._data and self._size > MAX_EVENT_BYTES):
            raise ProviderError("server", f"the stream contains an event larger than {MAX_EVENT_BYTES} bytes")
        return [event for line in lines if (event := self._line(line.rstrip(b"\r"))) is not None]

    def finish(self) -> list[ServerSentEvent]:
        """Return the event that the end of the stream completes, for servers that omit the last empty line."""
        return [event for line in (self._buffer, b"") if (event := self._line(line.rstrip(b"\r"))) is not None]

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
