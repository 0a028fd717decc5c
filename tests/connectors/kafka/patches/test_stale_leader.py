from __future__ import annotations

from types import SimpleNamespace
from typing import Any

import pytest
from aiokafka.consumer.fetcher import Fetcher
from aiokafka.errors import NotLeaderForPartitionError

from connectors.kafka.patches import stale_leader


def fetcher(answer: int) -> tuple[Fetcher, list[str]]:
    """One whose broker answers so about the first offset of a partition, and what it asked besides."""
    asked: list[str] = []

    async def send(_node: int, _request: object) -> Any:
        return SimpleNamespace(API_VERSION=1, topics=[("llm.requests.v1", [(0, answer, -1, 7)])])

    made = object.__new__(Fetcher)
    made._isolation_level = 0
    made._client = SimpleNamespace(send=send, force_metadata_update=lambda: asked.append("who leads"))
    return made, asked


async def test_who_asks_the_wrong_broker_asks_who_leads_now() -> None:
    stale_leader.apply()
    asking, asked = fetcher(NotLeaderForPartitionError.errno)

    with pytest.raises(NotLeaderForPartitionError):
        await asking._proc_offset_request(3, {"llm.requests.v1": [(0, -2)]})

    assert asked == ["who leads"]


async def test_who_asks_the_right_broker_gets_its_answer() -> None:
    stale_leader.apply()
    asking, asked = fetcher(0)

    offsets = await asking._proc_offset_request(3, {"llm.requests.v1": [(0, -2)]})

    assert list(offsets.values()) == [(7, -1)]
    assert asked == []


def test_mending_twice_is_as_good_as_once() -> None:
    stale_leader.apply()
    ask = Fetcher._proc_offset_request

    stale_leader.apply()

    assert Fetcher._proc_offset_request is ask
