"""Who a request is: one UUID, the same however often and by whichever process its record is read."""

from __future__ import annotations

import hashlib
import re
import uuid

import uuid_utils

_NAMED = uuid.UUID("6f1f7a5e-3f0e-5c1e-9c7e-51a1c36a7e00")
"""Namespace of the ids made from a caller's own name for its request."""
_WRITTEN = re.compile("[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}")


def new_request_id() -> str:
    """A fresh id that sorts by time (UUIDv7)."""
    return str(uuid_utils.uuid7())


def named_request_id(tenant: str, name: str) -> str:
    """The id of a request that its caller named; two tenants that use one name never meet (UUIDv5)."""
    return str(uuid.uuid5(_NAMED, f"{tenant}\0{name}"))


def is_request_id(text: str) -> bool:
    """Whether this is a UUID, written as we write them."""
    return _WRITTEN.fullmatch(text) is not None


def is_named(request_id: str) -> bool:
    """Whether a caller named this request, by which it may ask for the same again: only those ids are UUIDv5."""
    return request_id[14:15] == "5"


def recorded_request_id(topic: str, partition: int, offset: int, timestamp_ms: int) -> str:
    """The id of a request that nobody named: from its place on the log, so that a second reading finds the same.

    Laid out as a UUIDv7: the record's time in front, a hash of its place behind.
    """
    place = hashlib.blake2b(f"{topic}\0{partition}\0{offset}".encode(), digest_size=10).digest()
    number = (max(timestamp_ms, 0) & (1 << 48) - 1) << 80 | int.from_bytes(place, "big")
    number = number & ~(0xF << 76) | 0x7 << 76
    number = number & ~(0x3 << 62) | 0x2 << 62
    return str(uuid.UUID(int=number))
