"""What Kafka knows a worker by, if it shall know it again after a restart."""

from __future__ import annotations

from collections.abc import Iterable
from hashlib import blake2b

from schemas.kafka.topics import Topic


def group_instance_id(instance_id: str, read: Iterable[Topic]) -> str | None:
    """Kafka's ``group.instance.id`` of a worker that reads these; None for one that comes and goes.

    A member that comes back is given what it had, also if it now reads a topic more, and that one then has nobody. So
    the name ends in a digest of what is read: over other topics, or more partitions, it is another member, and the old
    one's partitions are shared out when its session is over.
    """
    if not instance_id:
        return None
    told = "\n".join(sorted(f"{topic.name} {topic.partitions}" for topic in read))
    return f"{instance_id}-{blake2b(told.encode(), digest_size=4).hexdigest()}"
