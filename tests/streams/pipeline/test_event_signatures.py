from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from schemas.kafka.headers import SIGNATURE
from schemas.kafka.records import ConsumerRecord
from streams.pipeline.event_signatures import EventSignatures

SIGNER = EventSignatures((b"a" * 32, b"b" * 32))
TOPICS = st.sampled_from(["llm.requests.v1", "llm.requests.batch.v1"])


def record(topic: str, key: bytes, value: bytes, *headers: tuple[str, bytes | None]) -> ConsumerRecord:
    return ConsumerRecord(topic, 0, 0, 0, key, value, headers)


@given(TOPICS, st.binary(max_size=40), st.binary(max_size=200))
def test_signed_record_is_verified_also_after_the_signing_key_has_changed(topic: str, key: bytes, value: bytes) -> None:
    signed = record(topic, key, value, SIGNER.header(topic, key, value))

    assert SIGNER.verify(signed)
    assert EventSignatures((b"c" * 32, b"a" * 32)).verify(signed)
    assert not EventSignatures((b"b" * 32, b"c" * 32)).verify(signed)
    assert not EventSignatures(()).verify(signed)


@given(st.data())
def test_record_with_any_tampered_byte_is_not_verified(data: st.DataObject) -> None:
    topic, key, value = "llm.requests.v1", data.draw(st.binary(min_size=1)), data.draw(st.binary(min_size=1))
    name, signature = SIGNER.header(topic, key, value)
    parts = [key, value, signature]
    part = data.draw(st.integers(0, 2))
    at = data.draw(st.integers(0, len(parts[part]) - 1))
    flipped = parts[part][at] ^ data.draw(st.integers(1, 255))
    parts[part] = parts[part][:at] + bytes([flipped]) + parts[part][at + 1 :]

    assert not SIGNER.verify(record(topic, parts[0], parts[1], (name, parts[2])))


@given(st.binary(min_size=1), st.binary(min_size=1), st.integers(1, 20))
def test_bytes_moved_between_topic_key_and_value_are_not_verified(key: bytes, value: bytes, count: int) -> None:
    topic, joined = "llm.requests.v1", key + value
    header = SIGNER.header(topic, key, value)
    split = (len(key) + count) % (len(joined) + 1)

    assert not SIGNER.verify(record("llm.requests.batch.v1", key, value, header))
    assert SIGNER.verify(record(topic, joined[:split], joined[split:], header)) is (split == len(key))


@given(st.none() | st.binary(max_size=80))
def test_record_without_a_right_signature_is_not_verified(signature: bytes | None) -> None:
    assert not SIGNER.verify(record("llm.requests.v1", b"k", b"v", (SIGNATURE, signature)))
    assert not SIGNER.verify(record("llm.requests.v1", b"k", b"v"))
