"""What was asked: the body of a routed request, and how to tell whether a request of the same name asks the same."""

from __future__ import annotations

import dataclasses
import hashlib
from typing import Any

import orjson

from schemas.events.catalog import RequestRouted
from schemas.events.request_id import is_named
from schemas.kafka import headers
from schemas.kafka.records import ConsumerRecord, ProducerRecord

_DELIVERY = frozenset({"stream", "stream_options"})
"""How the answer comes is no part of the question: who lost its line in a stream may ask for the whole."""


def fingerprint(routed: RequestRouted, body: dict[str, Any]) -> str:
    """Tell what is asked in 16 characters; empty if the caller did not name its request, and so can't repeat it.

    Spaces and the order of names make no difference. Salted with the request's id: no two look equal.
    """
    request = routed.request
    if not is_named(request.request_id):
        return ""
    question = {name: value for name, value in body.items() if name not in _DELIVERY}
    try:
        text = orjson.dumps([request.request_id, request.operation, question], option=orjson.OPT_SORT_KEYS)
    except orjson.JSONEncodeError:  # it reads what is nested deeper than it writes
        text = routed.body.encode()
    return hashlib.blake2b(text, digest_size=8).hexdigest()


def with_fingerprint(answer: ProducerRecord, asked: str) -> ProducerRecord:
    """Say on the record of an answer what was asked, if its caller may ask again."""
    if not asked:
        return answer
    return dataclasses.replace(answer, headers=(*answer.headers, (headers.FINGERPRINT, asked.encode())))


def fingerprint_of(record: ConsumerRecord) -> str:
    """Read what ``marked`` has said; empty if it is no answer, or none that can be asked for again."""
    return (headers.last_value(record.headers, headers.FINGERPRINT) or b"").decode("latin-1")
