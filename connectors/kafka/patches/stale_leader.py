"""Who asks a partition's old leader for its first offset learns who leads it now.

aiokafka 0.14.0 asks the old one again and again, and fetches nothing from that broker meanwhile: not of the partitions
that it still leads either. Seen when a broker stood still for 15 s: a filter and audit read nothing of some partitions
until the client's metadata was old enough to be asked for anew, five minutes later.
"""

from __future__ import annotations

from typing import Any

from aiokafka.consumer.fetcher import Fetcher
from aiokafka.errors import KafkaError


def apply() -> None:
    """Make every consumer of this process ask for the leaders when it was told that it has the wrong one.

    Twice is as good as once.
    """
    ask = Fetcher._proc_offset_request  # noqa: SLF001 - there is no public place for it
    if getattr(ask, "mended", False):
        return

    async def mended(fetcher: Fetcher, *request: Any) -> Any:  # noqa: ANN401 - aiokafka's own
        try:
            return await ask(fetcher, *request)
        except KafkaError:
            fetcher._client.force_metadata_update()  # noqa: SLF001 - the same
            raise

    mended.mended = True  # type: ignore[attr-defined]
    Fetcher._proc_offset_request = mended  # noqa: SLF001 - the same
