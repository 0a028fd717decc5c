"""Idempotency fingerprint: shows whether two requests with the same name have the same body."""

from __future__ import annotations

import dataclasses
import hashlib

import orjson

from schemas.events.catalog import RequestRouted
from schemas.events.request_id import is_named
from schemas.json_types import JsonObject
from schemas.kafka import headers
from schemas.kafka.records import ConsumerRecord, ProducerRecord

_DELIVERY_FIELDS = frozenset({"stream", "stream_options"})
"""Left out of the fingerprint: a client that lost its stream may ask for the whole answer instead."""


def fingerprint(routed: RequestRouted, body: JsonObject) -> str:
    """Return 16 hexadecimal characters; empty if the caller did not name its request and so can't repeat it.

    White space and the order of names make no difference. The request id is part of the hash, so that equal bodies of
    different requests have different fingerprints.
    """
    request = routed.request
    if not is_named(request.request_id):
        return ""
    content = {name: value for name, value in body.items() if name not in _DELIVERY_FIELDS}
    try:
        text = orjson.dumps([request.request_id, request.operation, content], option=orjson.OPT_SORT_KEYS)
    except orjson.JSONEncodeError:  # orjson parses deeper nesting than it serializes
        text = routed.body.encode()
    return hashlib.blake2b(text, digest_size=8).hexdigest()


def with_fingerprint(answer: ProducerRecord, value: str) -> ProducerRecord:
    """Return the record of an answer with the fingerprint in its headers; unchanged if there is no fingerprint."""
    if not value:
        return answer
    return dataclasses.replace(answer, headers=(*answer.headers, (headers.FINGERPRINT, value.encode())))


def fingerprint_of(record: ConsumerRecord) -> str:
    """Return the fingerprint in the headers of a record; empty unless it is an answer that may be requested again."""
    return (headers.last_value(record.headers, headers.FINGERPRINT) or b"").decode("latin-1")
