from __future__ import annotations

import pytest
from aiokafka import TopicPartition
from aiokafka.consumer.fetcher import READ_UNCOMMITTED
from aiokafka.record import MemoryRecords
from hypothesis import given
from hypothesis import strategies as st

from connectors.kafka import PartitionReader
from connectors.kafka.embedded.broker import EmbeddedBroker
from connectors.kafka.patches import tolerant_batches
from connectors.kafka.patches.record_class import DirectPartitionRecords
from connectors.kafka.patches.tolerant_batches import UNREADABLE, TolerantRecords
from schemas.kafka.records import ConsumerRecord
from schemas.kafka.topics import Topics
from tests.fixtures.raw_records import CODECS, OFFSET_DELTA, Raw, batch, produce, with_byte


def read(held: bytes, records: type = TolerantRecords) -> list[ConsumerRecord]:
    """Return the records that aiokafka's fetcher would return."""
    partition, batches = TopicPartition("t", 0), records(held)
    found = DirectPartitionRecords(
        partition, batches, [], 0, None, None, check_crcs=True, isolation_level=READ_UNCOMMITTED
    )
    return list(found)


@pytest.fixture
def limit(monkeypatch: pytest.MonkeyPatch) -> int:
    monkeypatch.setattr(tolerant_batches, "LIMIT_BYTES", 1_000)
    return 1_000


def test_aiokafka_without_the_patch_raises_on_a_header_name_that_is_not_utf_8() -> None:
    with pytest.raises(UnicodeDecodeError):  # when this fails, the patch can be removed
        read(batch([Raw(headers=[(b"\xff", b"")])]), MemoryRecords)


@pytest.mark.parametrize("codec", CODECS)
def test_header_name_that_is_not_utf_8_is_decoded_with_replacement_characters(codec: str) -> None:
    bad = [(b"a\xff\xfe", b"1"), (b"", None), ("ä".encode(), b"\xff")]
    held = batch([Raw(b"first" * 50), Raw(b"bad" * 50, bad, b"key"), Raw(None)], codec)

    records = read(held)

    assert [(record.offset, record.key) for record in records] == [(0, None), (1, b"key"), (2, None)]
    assert [record.value for record in records] == [b"first" * 50, b"bad" * 50, None]
    assert records[1].headers == (("a��", b"1"), ("", None), ("ä", b"\xff"))


def test_record_offset_beyond_its_batch_becomes_a_placeholder_within_the_batch() -> None:
    records = read(with_byte(batch([Raw(b"v")]), OFFSET_DELTA, 0x7E))

    assert [(record.offset, record.value) for record in records] == [(0, None)]
    assert records[0].headers == ((UNREADABLE, b"UnparsableBatchError"),)


@pytest.mark.parametrize("codec", [codec for codec in CODECS if codec != "none"])
def test_batch_that_cannot_be_decompressed_becomes_a_placeholder_at_its_last_offset(codec: str) -> None:
    whole = batch([Raw(b"v" * 100), Raw(b"w" * 100)], codec)
    held = with_byte(with_byte(whole, 61, 0xFF), 62, 0xFF)

    (record,) = read(held)

    assert (record.offset, record.key, record.value) == (1, None, None)
    assert [name for name, _ in record.headers] == [UNREADABLE]


def test_batch_of_more_than_max_records_becomes_a_placeholder(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(tolerant_batches, "MAX_RECORDS", 2)

    assert len(read(batch([Raw(b"a")] * 2))) == 2
    assert [record.value for record in read(batch([Raw(b"a")] * 3))] == [None]


def test_fetch_is_consumed_up_to_the_limit_of_decompressed_bytes(limit: int) -> None:
    held = batch([Raw(bytes(limit // 2 + 1))], "zstd") * 5

    fetched = TolerantRecords(held)
    consumed = 0
    while fetched.has_next():
        consumed += len(list(fetched.next_batch()))

    assert consumed == 2


def test_wrong_checksum_is_still_an_error() -> None:
    held = bytearray(batch([Raw(b"value")]))
    held[-1] ^= 1

    with pytest.raises(Exception, match="CRC"):
        read(bytes(held))


@given(st.lists(st.tuples(st.integers(min_value=61, max_value=400), st.integers(0, 255)), max_size=4))
def test_damage_after_the_header_raises_nothing_and_stays_in_the_batch(
    damage: list[tuple[int, int]],
) -> None:
    held = batch([Raw(b"value" * 9, [(b"name", b"1")], b"key"), Raw(b"other" * 9, [(b"\xff", None)] * 5)])
    for position, byte in damage:
        held = with_byte(held, min(position, len(held) - 1), byte)

    assert all(record.offset in (0, 1) for record in read(held))


@pytest.mark.flow
async def test_reader_continues_after_malformed_batches(broker: EmbeddedBroker, topics: Topics) -> None:
    topic = topics.requests.name
    undecodable = with_byte(batch([Raw(b"v" * 500)], "snappy"), 75, 0xFF)
    hostile = [batch([Raw(b"bad", [(b"\xff", b"")])]), with_byte(batch([Raw(b"v")]), OFFSET_DELTA, 0x7E), undecodable]
    async with PartitionReader(broker.bootstrap_servers, [(topic, 0)]) as reader:
        codes = [await produce(broker.bootstrap_servers, topic, 0, each) for each in hostile]
        await produce(broker.bootstrap_servers, topic, 0, batch([Raw(b"good")]))

        found: list[ConsumerRecord] = []
        while not found or found[-1].value != b"good":
            found += await reader.read(20)

    assert codes == [0, 0, 0], "the broker now rejects some of these batches"
    assert [record.offset for record in found] == [0, 1, 2, 3]
