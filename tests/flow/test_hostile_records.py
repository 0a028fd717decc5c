"""Whoever may write to a topic may write anything: no stage stops for it, and whoever asks next is answered."""

from __future__ import annotations

import pytest

from schemas.kafka.topics import Topics
from tests.fixtures.gateway import GatewayProcess
from tests.fixtures.raw_records import OFFSET_DELTA, Raw, batch, produce, with_byte

pytestmark = pytest.mark.flow

ASKING = b'{"model":"demo","messages":[{"role":"user","content":"hi"}]}'
NAMELESS = [(b"\xff\xfe", b"\xff"), (b"", None), (b"a\nb", b"\x1b[31m")]
HOSTILE = {
    "a header without UTF-8": batch([Raw(ASKING, NAMELESS)]),
    "a tombstone": batch([Raw(None, NAMELESS)]),
    "an empty value": batch([Raw(b"", NAMELESS, b"")]),
    "no time": batch([Raw(ASKING, timestamp_ms=-1)]),
    "a time before all times": batch([Raw(ASKING, timestamp_ms=-(2**40))]),
    "1970": batch([Raw(ASKING, timestamp_ms=1)]),
    "many headers": batch([Raw(ASKING, [(b"h", b"1")] * 100_000)]),
    "an enormous key": batch([Raw(ASKING, key=bytes(1_000_000))]),
    "an enormous correlation": batch(
        [Raw(ASKING, [(b"reply-topic", b"llm.replies.x"), (b"correlation-id", bytes(1_000_000))])]
    ),
    "an offset that lies": with_byte(batch([Raw(ASKING)]), OFFSET_DELTA, 0x7E),
    "bytes that are no snappy": with_byte(batch([Raw(ASKING * 9)], "snappy"), 75, 0xFF),
    "more than may be written again": batch([Raw(b"\x00" + bytes(70_000_000), key=b"k")], "zstd"),
    "a body larger than any": batch([Raw(b" " * 60_000_000 + ASKING)], "lz4"),
    "an event that ends early": batch([Raw(b"\x00\x00\x00\x00\x65\x02")]),
    "an event of an unknown kind": batch([Raw(b"\x00\xff\xff\xff\xff")]),
    "a number that is none": batch([Raw(ASKING.replace(b'"hi"', b"1e999"))]),
    "names twice": batch([Raw(ASKING[:-1] + b',"model":"\x00"}')]),
}


@pytest.mark.parametrize("attack", HOSTILE)
async def test_malformed_request_record_does_not_stop_the_filter(gateway: GatewayProcess, attack: str) -> None:
    topic = Topics().requests.name

    codes = [await produce(gateway.kafka, topic, partition, HOSTILE[attack]) for partition in range(4)]

    status, _, _ = gateway.chat(f"after {attack}")
    assert codes == [0] * 4, "the broker refuses it by now, and it may go from here"
    assert status == 200


@pytest.mark.parametrize("topic", [each.name for each in Topics().all])
async def test_malformed_record_on_any_topic_does_not_stop_a_stage(gateway: GatewayProcess, topic: str) -> None:
    bodies = [Raw(b"\x00\x00\x00\x00\x65\x02", NAMELESS), Raw(b"{}", NAMELESS), Raw(None, NAMELESS, b"\xff")]
    partitions = range(1 if topic == Topics().config.name else 4)

    codes = [await produce(gateway.kafka, topic, partition, batch(bodies, "gzip")) for partition in partitions]

    status, _, _ = gateway.chat(f"after {topic}")
    assert set(codes) <= {0, 87}  # a compacted topic takes no record without a key
    assert status == 200


async def test_malformed_records_are_recorded_without_their_text(gateway: GatewayProcess) -> None:
    await produce(gateway.kafka, Topics().requests.name, 0, batch([Raw(b"\xff secret", NAMELESS)]))

    last = gateway.until_rows("SELECT kafka_offset FROM events WHERE event_type = 'DeadLettered' ORDER BY event_time")

    assert last
    assert gateway.rows("SELECT 1 FROM events WHERE event_type = 'Unstorable'") == []
