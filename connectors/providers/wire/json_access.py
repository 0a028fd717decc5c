"""Lenient access to parsed JSON: a missing value or one of another type reads as empty."""

from __future__ import annotations

from typing import Any

import orjson

from connectors.providers.provider import ProviderError
from schemas.json_types import JsonObject


def as_text(value: object) -> str:
    """Return the value if it is a string, else an empty string."""
    return value if isinstance(value, str) else ""


def as_list(value: object) -> list[Any]:
    """Return the value if it is a list, else an empty list."""
    return value if isinstance(value, list) else []


def as_object(value: object) -> JsonObject:
    """Return the value if it is an object, else an empty object."""
    return value if isinstance(value, dict) else {}


def objects_of(value: object) -> list[JsonObject]:
    """Return the objects of a list; items of other types are skipped."""
    return [item for item in as_list(value) if isinstance(item, dict)]


def object_at(holder: object, name: str) -> JsonObject:
    """Return the object that another object holds under this name; empty if there is none."""
    return as_object(as_object(holder).get(name))


def parse_object(content: bytes | str) -> JsonObject | None:
    """Parse a JSON object; None if the content is not JSON or not an object."""
    try:
        value = orjson.loads(content)
    except orjson.JSONDecodeError:
        return None
    return value if isinstance(value, dict) else None


def parse_event(content: bytes | str) -> JsonObject:
    """Parse one event of a stream.

    Raises:
        ProviderError: server, if it is not a JSON object.

    """
    event = parse_object(content)
    if event is None:
        raise ProviderError("server", "the stream contains an event that is not a JSON object", http_status=200)
    return event
