from __future__ import annotations

from aiokafka import TopicPartition
from aiokafka.consumer.fetcher import READ_UNCOMMITTED

from connectors.kafka.patches.record_class import DirectPartitionRecords
from connectors.kafka.patches.tolerant_batches import TolerantRecords
from schemas.kafka.records import ConsumerRecord
from tests.fixtures.raw_records import Raw, batch


def test_partition_records_are_consumer_records() -> None:
    batches = TolerantRecords(batch([Raw(b"one", [(b"a", b"1"), (b"a", None)]), Raw(b"two")]))
    partition = TopicPartition("t", 3)

    records = list(
        DirectPartitionRecords(partition, batches, [], 0, None, None, check_crcs=True, isolation_level=READ_UNCOMMITTED)
    )

    assert [type(record) for record in records] == [ConsumerRecord, ConsumerRecord]
    assert [(record.topic, record.partition, record.offset, record.value) for record in records] == [
        ("t", 3, 0, b"one"),
        ("t", 3, 1, b"two"),
    ]
    assert records[0].headers == (("a", b"1"), ("a", None))
