from __future__ import annotations

from types import SimpleNamespace
from typing import Any

import pytest
from aiokafka.consumer.fetcher import Fetcher
from aiokafka.errors import NotLeaderForPartitionError


def fetcher(error_code: int) -> tuple[Fetcher, list[str]]:
    """A fetcher whose broker answers an offset request with this error code, and its metadata updates."""
    updates: list[str] = []

    async def send(_node: int, _request: object) -> Any:
        return SimpleNamespace(API_VERSION=1, topics=[("llm.requests.v1", [(0, error_code, -1, 7)])])

    made = object.__new__(Fetcher)
    made._isolation_level = 0
    made._client = SimpleNamespace(send=send, force_metadata_update=lambda: updates.append("metadata"))
    return made, updates


async def test_offset_request_to_a_former_leader_forces_a_metadata_update() -> None:
    consumer, updates = fetcher(NotLeaderForPartitionError.errno)

    with pytest.raises(NotLeaderForPartitionError):
        await consumer._proc_offset_request(3, {"llm.requests.v1": [(0, -2)]})

    assert updates == ["metadata"]


async def test_offset_request_to_the_leader_forces_no_metadata_update() -> None:
    consumer, updates = fetcher(0)

    offsets = await consumer._proc_offset_request(3, {"llm.requests.v1": [(0, -2)]})

    assert list(offsets.values()) == [(7, -1)]
    assert updates == []
