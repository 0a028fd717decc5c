"""Kafka's static membership: the instance id under which a restarted worker gets its partitions back."""

from __future__ import annotations

from collections.abc import Iterable
from hashlib import blake2b

from schemas.kafka.topics import Topic


def group_instance_id(instance_id: str, sources: Iterable[Topic]) -> str | None:
    """Return Kafka's ``group.instance.id`` of a worker that reads these topics; None for a dynamic member.

    A static member that returns gets the partitions it had, even if it now reads another topic, whose partitions then
    have no reader. Therefore the id ends in a digest of the topics and their partition counts: with others it is a new
    member, and the partitions of the former one are reassigned when its session times out.
    """
    if not instance_id:
        return None
    subscription = "\n".join(sorted(f"{topic.name} {topic.partitions}" for topic in sources))
    return f"{instance_id}-{blake2b(subscription.encode(), digest_size=4).hexdigest()}"
