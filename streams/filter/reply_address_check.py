"""Check of a reply address: no caller can make Sluice write to a topic of the pipeline."""

from __future__ import annotations

from schemas.events.parts import Failure, ReplyTo, Request
from schemas.kafka.request_headers import CORRELATION_NAMES
from schemas.kafka.topics import Topics
from schemas.openai.errors import invalid

MAX_PARTITION = 2**31 - 1
MAX_ECHOED_BYTES = 64 * 1024
"""Of the key and of the correlation, each. Both are part of every event of a request, beside a body of any size."""


def check_reply_address(request: Request, reply_to: ReplyTo, topics: Topics) -> Failure | None:
    """Return why a reply to this address is not allowed, or None if it is."""
    is_ingress = request.source == "http" and reply_to.topic == topics.ingress_replies.name
    if not is_ingress and not topics.is_reply_of(request.tenant, reply_to.topic):
        return _not_allowed("replies", request.tenant, topics)
    is_ingress = request.source == "http" and request.stream_topic == topics.ingress_replies.name
    if request.stream_topic and not is_ingress and not topics.is_reply_of(request.tenant, request.stream_topic):
        return _not_allowed("chunks", request.tenant, topics)
    if reply_to.partition is not None and not 0 <= reply_to.partition <= MAX_PARTITION:
        return invalid("invalid_header", "the reply partition is not a valid partition number")
    if any(header.name not in CORRELATION_NAMES for header in reply_to.correlation) or len(reply_to.correlation) > 1:
        names = ", ".join(sorted(CORRELATION_NAMES))
        return invalid("invalid_header", f"the correlation of a reply is one header of these: {names}")
    echoed = (reply_to.key, *(header.value for header in reply_to.correlation))
    if any(len(value or b"") > MAX_ECHOED_BYTES for value in echoed):
        message = f"the record's key or its correlation id is larger than {MAX_ECHOED_BYTES} bytes"
        return invalid("invalid_header", message)
    return None


def _not_allowed(what: str, tenant: str, topics: Topics) -> Failure:
    allowed = ", ".join(topics.reply_patterns(tenant))
    return invalid("reply_topic_not_allowed", f"{what} of tenant {tenant} go only to its reply topics: {allowed}")
