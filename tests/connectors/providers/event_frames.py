"""Frames of AWS's event stream, as a server writes them."""

from __future__ import annotations

import json
import struct
import zlib
from typing import Any


def frame(headers: dict[str, str], payload: bytes) -> bytes:
    """One frame with headers that are text."""
    return raw_frame(b"".join(text_header(name, value) for name, value in headers.items()), payload)


def raw_frame(headers: bytes, payload: bytes) -> bytes:
    """One frame with headers of any kind."""
    lengths = struct.pack(">II", 16 + len(headers) + len(payload), len(headers))
    front = lengths + struct.pack(">I", zlib.crc32(lengths)) + headers + payload
    return front + struct.pack(">I", zlib.crc32(front))


def text_header(name: str, value: str) -> bytes:
    said, text = name.encode(), value.encode()
    return bytes([len(said)]) + said + b"\x07" + struct.pack(">H", len(text)) + text


def event(kind: str, **content: Any) -> bytes:
    """One event, padded as Bedrock pads them."""
    headers = {":event-type": kind, ":content-type": "application/json", ":message-type": "event"}
    return frame(headers, json.dumps({**content, "p": "abcdefghijklmnopqrstuvwxyz"[: 3 + len(kind) % 7]}).encode())


def exception(kind: str, message: str) -> bytes:
    """One exception, after which nothing comes."""
    headers = {":exception-type": kind, ":content-type": "application/json", ":message-type": "exception"}
    return frame(headers, json.dumps({"message": message}).encode())
