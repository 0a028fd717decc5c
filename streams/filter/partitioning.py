"""Which partition a request takes through the stages: the same at every delivery, and with those that it came with.

What shares a partition shares batches, in every hop to the end; what is scattered by its key costs a batch each.
"""

from __future__ import annotations

from schemas.avro.codec import is_framed
from schemas.events.parts import Request
from schemas.events.request_id import is_named
from schemas.kafka.records import ConsumerRecord

STICKY_RUN = 64
"""So many records in a row stay together; then it is another partition's turn, lest one have all of a topic's work."""


def choose_partition(request: Request, record: ConsumerRecord, partitions: int) -> int | None:
    """Say where a request goes on; None: where its id belongs.

    Args:
        request: as its record says.
        record: on a request topic.
        partitions: of every topic of the pipeline.

    Returns:
        For a request that our ingress brought: the partition that it chose, which is in turn. For one whose id is its
        place on the log, a run of neighbours together. Whoever may come twice in two places goes by the id.

    """
    if is_named(request.request_id):
        return None
    if request.source == "http":
        return record.partition % partitions
    if is_framed(record.value or b""):
        return None
    return (record.partition + record.offset // STICKY_RUN) % partitions
