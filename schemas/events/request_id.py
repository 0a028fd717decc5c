"""Request ids: UUIDs that are the same each time a record is read, in every process."""

from __future__ import annotations

import hashlib
import re
import uuid

import uuid_utils

_NAMESPACE = uuid.UUID("6f1f7a5e-3f0e-5c1e-9c7e-51a1c36a7e00")
"""Namespace of the ids derived from a caller's own name for its request."""
_CANONICAL = re.compile("[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}")


def new_request_id() -> str:
    """Return a new id that sorts by time (UUIDv7)."""
    return str(uuid_utils.uuid7())


def named_request_id(tenant: str, name: str) -> str:
    """Return the id of a request that its caller named (UUIDv5). The same name gives each tenant a different id."""
    return str(uuid.uuid5(_NAMESPACE, f"{tenant}\0{name}"))


def is_request_id(text: str) -> bool:
    """Return whether the text is a UUID in lower case with hyphens."""
    return _CANONICAL.fullmatch(text) is not None


def is_named(request_id: str) -> bool:
    """Return whether the caller named this request and can repeat it: only these ids are UUIDv5."""
    return request_id[14:15] == "5"


def recorded_request_id(topic: str, partition: int, offset: int, timestamp_ms: int) -> str:
    """Return the id of an unnamed request, derived from its position on the log, so that a redelivery has the same id.

    The layout is a UUIDv7: the record's time, then a hash of topic, partition and offset.
    """
    position = hashlib.blake2b(f"{topic}\0{partition}\0{offset}".encode(), digest_size=10).digest()
    number = (max(timestamp_ms, 0) & (1 << 48) - 1) << 80 | int.from_bytes(position, "big")
    number = number & ~(0xF << 76) | 0x7 << 76
    number = number & ~(0x3 << 62) | 0x2 << 62
    return str(uuid.UUID(int=number))
