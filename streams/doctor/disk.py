"""A look at the disk under the state directory, where `sluice up` keeps Kafka's log and ClickHouse's files."""

from __future__ import annotations

from connectors.kafka.embedded.disk_space import free_bytes, is_full
from streams.config.settings import Settings
from streams.doctor.finding import CheckFailed, CheckWarning

LOW_BYTES = 1024**3
"""Less than this is worth knowing."""


async def free_space(settings: Settings) -> str:
    """Whether there is room for what comes; what others keep is theirs to look at."""
    if settings.kafka.bootstrap_servers and settings.clickhouse.url:
        return "Kafka and ClickHouse keep theirs elsewhere"
    path = settings.state.resolve()
    left = f"{free_bytes(path) / 1024**2:.0f} MB left under {path}"
    if is_full(path):
        raise CheckFailed(f"{left}: make room, or nothing is taken in or stored")
    if free_bytes(path) < LOW_BYTES:
        raise CheckWarning(left)
    return left
