"""Incremental reader of AWS's event stream: binary frames with two checksums each, cut at any byte.

A frame: total length (u32), length of the headers (u32), CRC-32 of those eight bytes, headers, payload, CRC-32 of
everything before it. A header: length of its name (u8), name, type (u8), value. Source: Smithy,
"Amazon Event Stream specification".
"""

from __future__ import annotations

import struct
import zlib
from collections.abc import Iterator
from dataclasses import dataclass

from connectors.providers.provider import ProviderError

MAX_HEADERS_BYTES = 128 * 1024
MAX_PAYLOAD_BYTES = 24 * 1024 * 1024
"""Limits of AWS's own clients. Without them one wrong length would make the reader wait for gigabytes."""

_PRELUDE = struct.Struct(">III")
_CRC = struct.Struct(">I")
_AROUND = _PRELUDE.size + _CRC.size
"""Bytes of a frame other than headers and payload."""

_STRING = 7
_PREFIXED = {6, _STRING}
"""Types whose value follows its length (u16): bytes and strings."""
_FIXED = {0: 0, 1: 0, 2: 1, 3: 2, 4: 4, 5: 8, 8: 8, 9: 16}
"""Sizes of the other types' values: true, false, integers, a timestamp, a UUID."""


@dataclass(frozen=True, slots=True)
class Frame:
    """One frame of the stream."""

    headers: dict[str, str]
    """Headers of type string; no other type is needed."""
    payload: bytes


class FrameReader:
    """Reader that takes bytes and yields complete frames."""

    def __init__(self) -> None:
        self._rest = bytearray()

    def feed(self, data: bytes) -> Iterator[Frame]:
        """Yield the frames that these bytes complete.

        Raises:
            ProviderError: server, if a checksum or a length is wrong: the rest cannot be trusted.

        """
        self._rest += data
        while (frame := self._next()) is not None:
            yield frame

    def finish(self) -> None:
        """Check that the stream did not end within a frame.

        Raises:
            ProviderError: server, if it did.

        """
        if self._rest:
            raise _broken("the stream broke off before its end")

    def _next(self) -> Frame | None:
        rest = self._rest
        if len(rest) < _PRELUDE.size:
            return None
        total, headers, checksum = _PRELUDE.unpack_from(rest)
        if zlib.crc32(rest[:8]) != checksum:
            raise _broken("a frame of the stream is corrupt: its lengths do not match their checksum")
        if headers > MAX_HEADERS_BYTES or not 0 <= total - headers - _AROUND <= MAX_PAYLOAD_BYTES:
            raise _broken(f"a frame of the stream has impossible lengths: {total} and {headers} bytes")
        if len(rest) < total:
            return None
        frame = bytes(rest[:total])
        del rest[:total]
        return _read(frame, _PRELUDE.size + headers)


def _read(frame: bytes, payload: int) -> Frame:
    end = len(frame) - _CRC.size
    if zlib.crc32(memoryview(frame)[:end]) != _CRC.unpack_from(frame, end)[0]:
        raise _broken("a frame of the stream is corrupt: it does not match its checksum")
    try:
        return Frame(dict(_headers(frame[_PRELUDE.size : payload])), frame[payload:end])
    except (IndexError, KeyError, UnicodeDecodeError, struct.error):
        raise _broken("a frame of the stream has unreadable headers") from None


def _headers(data: bytes) -> Iterator[tuple[str, str]]:
    at = 0
    while at < len(data):
        start = at + 1
        at = start + data[at]
        name, kind = data[start:at].decode(), data[at]
        at += 1
        size = _FIXED[kind] if kind not in _PREFIXED else struct.unpack_from(">H", data, at)[0]
        at += 2 if kind in _PREFIXED else 0
        value = data[at : at + size]
        at += size
        if at > len(data):
            raise IndexError(at)
        if kind == _STRING:
            yield name, value.decode()


def _broken(message: str) -> ProviderError:
    return ProviderError("server", message, http_status=200)
