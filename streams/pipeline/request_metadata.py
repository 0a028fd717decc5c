"""What stands beside a body: what is asked, since when and until when, and whether its reply may go where it says."""

from __future__ import annotations

import math
import re
from typing import Any

from schemas.events.parts import Failure, ReplyTo, Request
from schemas.events.vocabulary import Lane, Operation
from schemas.kafka import headers
from schemas.kafka.headers import Headers
from schemas.kafka.records import ConsumerRecord
from schemas.kafka.topics import Topics
from schemas.openai.errors import invalid
from streams.config.settings import Settings

MAX_DEADLINE_MS = 3_600_000
"""The longest that a caller may ask us to try."""
MAX_NAME_CHARACTERS = 255
"""Of the name that a caller gives its request."""
MAX_PARTITION = 2**31 - 1
MAX_ECHOED_BYTES = 64 * 1024
"""Of a key and a correlation, each: they stand in every event of a request, beside a body that may fill it."""

_TRACEPARENT = re.compile(r"[0-9a-f]{2}-[0-9a-f]{32}-[0-9a-f]{16}-[0-9a-f]{2}")
_NUMBER = re.compile(r"[0-9]{1,9}")
_OPERATIONS: dict[str, Operation] = {"chat": "chat", "embeddings": "embeddings"}
_LANES: dict[str, Lane] = {"": "interactive", "interactive": "interactive", "batch": "batch"}


def idempotency_key(record_headers: Headers) -> str:
    """Read what the caller calls its request; empty if it does not.

    Raises:
        ValueError: it is too long, or not UTF-8.

    """
    said = headers.request_name(record_headers)
    if len(said) > MAX_NAME_CHARACTERS:
        raise ValueError(f"the name of the request is longer than {MAX_NAME_CHARACTERS} characters")
    return said


def operation(record_headers: Headers, document: dict[str, Any] | Failure) -> Operation:
    """Tell the operation from its header, else from a word of ``ce_type``, else from the shape of the body.

    Raises:
        ValueError: the header says something else, or is not UTF-8.

    """
    said = headers.text(record_headers, headers.OPERATION)
    if said:
        if said not in _OPERATIONS:
            raise ValueError(f"header {headers.OPERATION} is neither chat nor embeddings")
        return _OPERATIONS[said]
    for word in headers.text(record_headers, "ce_type").split("."):
        if word in _OPERATIONS:
            return _OPERATIONS[word]
    is_embeddings = isinstance(document, dict) and "input" in document and "messages" not in document
    return "embeddings" if is_embeddings else "chat"


def lane(said: str, tenant: str, settings: Settings) -> Lane:
    """Say which lane a request takes: batch if its caller wants it so, or if it is a tenant's whose lane that is.

    A model of the batch lane is for the filter to know.

    Raises:
        ValueError: what is said is no lane.

    """
    if said not in _LANES:
        raise ValueError("neither interactive nor batch")
    return "batch" if "batch" in (_LANES[said], settings.tenant(tenant).lane) else "interactive"


def received_at(record: ConsumerRecord, now_ms: int) -> int:
    """Take the record's own time; ours if it has none, or if its writer's clock is ahead."""
    return min(record.timestamp_ms, now_ms) if record.timestamp_ms > 0 else now_ms


def timeout_ms(record_headers: Headers, lane: Lane, settings: Settings) -> int:
    """Read how long the caller waits, in milliseconds from the record's time; if it does not say, as its lane has it.

    Raises:
        ValueError: it is no number, or too large a one.

    """
    said = headers.text(record_headers, headers.DEADLINE)
    if not said:
        return math.ceil(settings.default_timeout_s(lane) * 1000)
    if not (_NUMBER.fullmatch(said) and 0 < int(said) <= MAX_DEADLINE_MS):
        raise ValueError(f"header {headers.DEADLINE} is not a whole number from 1 to {MAX_DEADLINE_MS}")
    return int(said)


def valid_traceparent(traceparent: str) -> str:
    """Keep what is a trace's; whatever else stands there is somebody's text."""
    return traceparent if _TRACEPARENT.fullmatch(traceparent) else ""


def check_reply_address(request: Request, reply_to: ReplyTo, topics: Topics) -> Failure | None:
    """Say why no reply may go there: a caller must never make us write to a topic of the pipeline."""
    is_ingress = request.source == "http" and reply_to.topic == topics.ingress_replies.name
    if not is_ingress and not topics.is_reply(reply_to.topic):
        return invalid("reply_topic_not_allowed", f"replies go to topics named {topics.prefix}replies.<client> alone")
    if not is_ingress and request.stream_topic and not topics.is_reply(request.stream_topic):
        return invalid("reply_topic_not_allowed", f"chunks go to topics named {topics.prefix}replies.<client> alone")
    if reply_to.partition is not None and not 0 <= reply_to.partition <= MAX_PARTITION:
        return invalid("invalid_header", "the reply partition is no partition's number")
    echoed = (reply_to.key, *(header.value for header in reply_to.correlation))
    if any(len(value or b"") > MAX_ECHOED_BYTES for value in echoed):
        message = f"the record's key or its correlation has more than {MAX_ECHOED_BYTES} bytes, the most that is echoed"
        return invalid("invalid_header", message)
    return None
