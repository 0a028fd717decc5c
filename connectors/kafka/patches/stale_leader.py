"""A consumer whose offset request fails refreshes its metadata, so that it finds the partition's new leader.

aiokafka 0.14.0 sends the request to the former leader again and again, and meanwhile fetches nothing from that broker,
not even from the partitions that it still leads. Seen when a broker was paused for 15 s: a filter and audit read
nothing from some partitions until the client's metadata expired, five minutes later.
"""

from __future__ import annotations

from typing import Any

from aiokafka.consumer.fetcher import Fetcher
from aiokafka.errors import KafkaError


def apply() -> None:
    """Make every consumer of this process force a metadata update when a request for offsets fails."""
    original = Fetcher._proc_offset_request  # noqa: SLF001 - there is no public method for it

    async def request_offsets(fetcher: Fetcher, *request: Any) -> Any:  # noqa: ANN401 - aiokafka's own
        try:
            return await original(fetcher, *request)
        except KafkaError:
            fetcher._client.force_metadata_update()  # noqa: SLF001 - the same
            raise

    Fetcher._proc_offset_request = request_offsets  # noqa: SLF001 - the same
