"""From HTTP to the log: the headers of a call become the ``Request`` that every later event carries."""

from __future__ import annotations

import dataclasses
import re
import time

from schemas.events.parts import Header, ReplyTo, Request
from schemas.events.request_id import named_request_id, new_request_id
from schemas.events.vocabulary import Lane, Operation
from streams.config.settings import Settings
from streams.ingress.errors import bad_request
from streams.ingress.requests.authentication import Principal
from streams.ingress.requests.sticky_partitioner import StickyPartitioner
from streams.pipeline import request_metadata as asking
from streams.pipeline.request_metadata import MAX_DEADLINE_MS, MAX_NAME_CHARACTERS, valid_traceparent

CORRELATION = "correlation-id"
"""The plain dialect's header: which HTTP call a reply belongs to. Two calls may share one request id."""


class ReplyAddress:
    """Where this instance of the ingress waits: its own partitions of the reply topic, used in turn."""

    def __init__(self, topic: str, partitions: tuple[int, ...], turns: StickyPartitioner) -> None:
        self._topic = topic
        self._partitions = partitions
        self._turns = turns

    def next(self, request_id: str, correlation: str) -> ReplyTo:
        """The address to put on one request."""
        return ReplyTo(
            topic=self._topic,
            partition=self._partitions[self._turns.choose(len(self._partitions))],
            key=request_id.encode(),
            correlation=(Header(name=CORRELATION, value=correlation.encode()),),
        )


def own_partitions(partitions: int, instance: int, instances: int) -> tuple[int, ...]:
    """The share of the reply partitions that one instance reads; empty if there are more instances than partitions."""
    return tuple(range(instance, partitions, instances))


def build_request(  # noqa: D417 - the rest are the request's own fields
    headers: dict[bytes, bytes], *, operation: Operation, caller: Principal, request_id: str, settings: Settings
) -> Request:
    """The request as it will stand in every event, but for where its reply goes.

    Args:
        request_id: its id, unless the caller names it.
        settings: say how long it may take if the caller does not, and who is of the batch lane.

    Raises:
        RefusedError: 400, a header can't be read.

    """
    now = time.time_ns() // 1_000_000
    name = idempotency_key(headers)
    lane = lane_of(headers, caller, settings)
    return Request(
        request_id=named_request_id(caller.tenant, name) if name else request_id,
        tenant=caller.tenant,
        key_id=caller.key_id,
        operation=operation,
        source="http",
        received_at=now,
        deadline_at=now + round(timeout_s(headers, settings.default_timeout_s(lane)) * 1000),
        idempotency_key=name,
        traceparent=traceparent(headers),
        lane=lane,
    )


def with_reply_address(request: Request, address: ReplyAddress, *, stream: bool) -> tuple[Request, str]:
    """The request with a place for its reply, or for chunks as well, and the correlation id that will stand on it."""
    correlation = new_request_id()
    reply_to = address.next(request.request_id, correlation)
    stream_topic = reply_to.topic if stream else ""
    return dataclasses.replace(request, reply_to=reply_to, stream_topic=stream_topic), correlation


def idempotency_key(headers: dict[bytes, bytes]) -> str:
    """What the caller named its request; empty if it did not."""
    try:
        name = headers.get(b"idempotency-key", b"").decode()
    except UnicodeDecodeError:
        raise bad_request("invalid_header", "Idempotency-Key is not UTF-8.") from None
    if len(name) > MAX_NAME_CHARACTERS:
        raise bad_request("invalid_header", f"Idempotency-Key is longer than {MAX_NAME_CHARACTERS} characters.")
    return name


def lane_of(headers: dict[bytes, bytes], caller: Principal, settings: Settings) -> Lane:
    """Which lane the caller or its tenant's configuration chooses."""
    said = headers.get(b"x-sluice-lane", b"").decode("latin-1")
    try:
        return asking.lane(said, caller.tenant, settings)
    except ValueError as error:
        raise bad_request("invalid_header", f"X-Sluice-Lane is {error}.") from None


def timeout_s(headers: dict[bytes, bytes], otherwise: float) -> float:
    """How long the caller waits, in seconds, by its X-Request-Timeout; at most an hour."""
    given = headers.get(b"x-request-timeout")
    if given is None:
        return otherwise
    try:
        seconds = float(given)
    except ValueError:
        seconds = 0.0
    if not seconds > 0:  # also true of NaN
        raise bad_request("invalid_header", "X-Request-Timeout must be a positive number of seconds.")
    return min(seconds, MAX_DEADLINE_MS / 1000)


def traceparent(headers: dict[bytes, bytes]) -> str:
    """The caller's trace, passed on; what is not a traceparent is left out, as W3C's rules ask."""
    return valid_traceparent(headers.get(b"traceparent", b"").decode("latin-1"))


def prefers_async(headers: dict[bytes, bytes]) -> bool:
    """Whether the caller prefers to ask for the answer later (RFC 7240)."""
    return b"respond-async" in re.split(rb"[\s,;]+", headers.get(b"prefer", b"").lower())
