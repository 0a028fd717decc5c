"""Reply address of this ingress instance: its own partitions of the reply topic, and a correlation id per HTTP call."""

from __future__ import annotations

import dataclasses

from schemas.events.parts import Header, ReplyTo, Request
from schemas.events.request_id import new_request_id
from streams.ingress.requests.sticky_partitioner import StickyPartitioner

CORRELATION = "correlation-id"
"""Header that identifies the HTTP call of a reply. Two calls may share one request id."""


class ReplyAddress:
    """The reply topic and the partitions of it that this instance reads, used in rotation."""

    def __init__(self, topic: str, partitions: tuple[int, ...], partitioner: StickyPartitioner) -> None:
        self._topic = topic
        self._partitions = partitions
        self._partitioner = partitioner

    def next(self, request_id: str, correlation: str) -> ReplyTo:
        """Return the address for one request."""
        return ReplyTo(
            topic=self._topic,
            partition=self._partitions[self._partitioner.choose(len(self._partitions))],
            key=request_id.encode(),
            correlation=(Header(name=CORRELATION, value=correlation.encode()),),
        )


def own_partitions(partitions: int, instance: int, instances: int) -> tuple[int, ...]:
    """Return the reply partitions that one instance reads; none if there are more instances than partitions."""
    return tuple(range(instance, partitions, instances))


def with_reply_address(request: Request, address: ReplyAddress, *, stream: bool) -> tuple[Request, str]:
    """Return the request with its reply address, also for chunks if it may stream, and its correlation id."""
    correlation = new_request_id()
    reply_to = address.next(request.request_id, correlation)
    stream_topic = reply_to.topic if stream else ""
    return dataclasses.replace(request, reply_to=reply_to, stream_topic=stream_topic), correlation
