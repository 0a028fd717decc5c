from __future__ import annotations

import dataclasses
from collections import Counter

from schemas.avro.codec import encode
from schemas.events.catalog import RequestReceived
from schemas.events.request_id import named_request_id, new_request_id
from schemas.kafka.records import ConsumerRecord
from streams.filter.partitioning import STICKY_RUN, choose_partition
from tests.factories import make_request

PARTITIONS = 4


def plain(offset: int, partition: int = 1) -> ConsumerRecord:
    return ConsumerRecord("llm.requests.v1", partition, offset, 0, None, b"{}", ())


def test_request_of_the_ingress_keeps_its_partition() -> None:
    request = make_request(request_id=new_request_id())

    assert [choose_partition(request, plain(0, partition), PARTITIONS) for partition in (0, 1, 6)] == [0, 1, 2]


def test_request_with_an_idempotency_key_is_placed_by_its_id() -> None:
    for source in ("http", "kafka"):
        assert (
            choose_partition(make_request(request_id=named_request_id("t", "n"), source=source), plain(0), PARTITIONS)
            is None
        )


def test_records_of_one_partition_are_spread_in_runs_of_64() -> None:
    request = make_request(request_id=new_request_id(), source="kafka")

    places = [choose_partition(request, plain(offset), PARTITIONS) for offset in range(STICKY_RUN * PARTITIONS)]

    assert Counter(places) == dict.fromkeys(range(PARTITIONS), STICKY_RUN)
    assert len(set(places[:STICKY_RUN])) == 1


def test_event_of_another_producer_is_placed_by_its_id() -> None:
    request = make_request(request_id=new_request_id(), source="kafka")
    record = dataclasses.replace(plain(0), value=encode(RequestReceived(request=request, body=b"{}")))

    assert choose_partition(request, record, PARTITIONS) is None
