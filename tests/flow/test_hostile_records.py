"""Malformed records on every topic: no stage stops, and the next request is answered."""

from __future__ import annotations

import pytest

from schemas.kafka.topics import Topics
from tests.fixtures.gateway import GatewayProcess
from tests.fixtures.raw_records import OFFSET_DELTA, Raw, batch, produce, with_byte

pytestmark = pytest.mark.flow

REQUEST = b'{"model":"demo","messages":[{"role":"user","content":"hi"}]}'
ODD_HEADERS = [(b"\xff\xfe", b"\xff"), (b"", None), (b"a\nb", b"\x1b[31m")]
HOSTILE = {
    "a header without UTF-8": batch([Raw(REQUEST, ODD_HEADERS)]),
    "a tombstone": batch([Raw(None, ODD_HEADERS)]),
    "an empty value": batch([Raw(b"", ODD_HEADERS, b"")]),
    "no time": batch([Raw(REQUEST, timestamp_ms=-1)]),
    "a negative time": batch([Raw(REQUEST, timestamp_ms=-(2**40))]),
    "1970": batch([Raw(REQUEST, timestamp_ms=1)]),
    "many headers": batch([Raw(REQUEST, [(b"h", b"1")] * 100_000)]),
    "an enormous key": batch([Raw(REQUEST, key=bytes(1_000_000))]),
    "an enormous correlation": batch(
        [Raw(REQUEST, [(b"reply-topic", b"llm.replies.x"), (b"correlation-id", bytes(1_000_000))])]
    ),
    "an offset beyond the batch": with_byte(batch([Raw(REQUEST)]), OFFSET_DELTA, 0x7E),
    "invalid snappy": with_byte(batch([Raw(REQUEST * 9)], "snappy"), 75, 0xFF),
    "a record too large for a dead letter": batch([Raw(b"\x00" + bytes(70_000_000), key=b"k")], "zstd"),
    "a body beyond the limit": batch([Raw(b" " * 60_000_000 + REQUEST)], "lz4"),
    "an event that ends early": batch([Raw(b"\x00\x00\x00\x00\x65\x02")]),
    "an event of an unknown kind": batch([Raw(b"\x00\xff\xff\xff\xff")]),
    "an infinite number": batch([Raw(REQUEST.replace(b'"hi"', b"1e999"))]),
    "duplicate names": batch([Raw(REQUEST[:-1] + b',"model":"\x00"}')]),
}


@pytest.mark.parametrize("attack", HOSTILE)
async def test_malformed_request_record_does_not_stop_the_filter(gateway: GatewayProcess, attack: str) -> None:
    topic = Topics().requests.name

    codes = [await produce(gateway.kafka, topic, partition, HOSTILE[attack]) for partition in range(4)]

    status, _, _ = gateway.chat(f"after {attack}")
    assert codes == [0] * 4, "the broker now rejects this record: remove it here"
    assert status == 200


@pytest.mark.parametrize("topic", [each.name for each in Topics().all])
async def test_malformed_record_on_any_topic_does_not_stop_a_stage(gateway: GatewayProcess, topic: str) -> None:
    bodies = [Raw(b"\x00\x00\x00\x00\x65\x02", ODD_HEADERS), Raw(b"{}", ODD_HEADERS), Raw(None, ODD_HEADERS, b"\xff")]
    partitions = range(1 if topic == Topics().config.name else 4)

    codes = [await produce(gateway.kafka, topic, partition, batch(bodies, "gzip")) for partition in partitions]

    status, _, _ = gateway.chat(f"after {topic}")
    assert set(codes) <= {0, 87}  # a compacted topic rejects records without a key
    assert status == 200


async def test_malformed_records_are_recorded_without_their_text(gateway: GatewayProcess) -> None:
    await produce(gateway.kafka, Topics().requests.name, 0, batch([Raw(b"\xff secret", ODD_HEADERS)]))

    last = gateway.until_rows("SELECT kafka_offset FROM events WHERE event_type = 'DeadLettered' ORDER BY event_time")

    assert last
    assert gateway.rows("SELECT 1 FROM events WHERE event_type = 'Unstorable'") == []
