from __future__ import annotations

from aiokafka import TopicPartition
from aiokafka.consumer import fetcher
from aiokafka.consumer.fetcher import READ_UNCOMMITTED

from connectors.kafka.patches import record_class as own_records
from connectors.kafka.patches.record_class import OwnRecords
from connectors.kafka.patches.tolerant_batches import TolerantRecords
from schemas.kafka.records import ConsumerRecord
from tests.fixtures.raw_records import Raw, batch


def test_a_consumer_gives_records_as_all_of_us_have_them() -> None:
    held = TolerantRecords(batch([Raw(b"one", [(b"a", b"1"), (b"a", None)]), Raw(b"two")]))
    place = TopicPartition("t", 3)

    found = list(OwnRecords(place, held, [], 0, None, None, check_crcs=True, isolation_level=READ_UNCOMMITTED))

    assert [type(record) for record in found] == [ConsumerRecord, ConsumerRecord]
    assert [(record.topic, record.partition, record.offset, record.value) for record in found] == [
        ("t", 3, 0, b"one"),
        ("t", 3, 1, b"two"),
    ]
    assert found[0].headers == (("a", b"1"), ("a", None))


def test_mending_twice_is_as_good_as_once() -> None:
    own_records.apply()
    own_records.apply()

    assert fetcher.PartitionRecords is OwnRecords
