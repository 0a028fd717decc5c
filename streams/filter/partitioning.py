"""Choice of the partition that a request takes through the pipeline: the same at every delivery.

Requests that share a partition share a batch in every stage. Requests that are scattered by key cost a batch each.
"""

from __future__ import annotations

from schemas.avro.codec import is_framed
from schemas.events.parts import Request
from schemas.events.request_id import is_named
from schemas.kafka.records import ConsumerRecord

STICKY_RUN = 64
"""Consecutive records that stay together. Then the next partition is used, so that all partitions share the load."""


def choose_partition(request: Request, record: ConsumerRecord, partitions: int) -> int | None:
    """Return the partition of a request, or None if the hash of its id decides.

    Args:
        request: the request of the record.
        record: on a request topic.
        partitions: number of partitions of every topic of the pipeline.

    Returns:
        For a request from the ingress: the partition that the ingress chose in rotation. For a request whose id is
        derived from its position in the log: the partition of its run of consecutive records. A request that may be
        sent again, and so arrive on another partition, is placed by its id.

    """
    if is_named(request.request_id):
        return None
    if request.source == "http":
        return record.partition % partitions
    if is_framed(record.value or b""):
        return None
    return (record.partition + record.offset // STICKY_RUN) % partitions
