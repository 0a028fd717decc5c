"""Check of the disk under the state directory, where `sluice up` keeps the data of Kafka and ClickHouse."""

from __future__ import annotations

from connectors.kafka.embedded.disk_space import free_bytes, is_full
from streams.config.settings import Settings
from streams.doctor.finding import CheckFailed, CheckWarning

LOW_BYTES = 1024**3
"""Less free space than this is a warning."""


async def free_space(settings: Settings) -> str:
    """Check the free space. It is not checked if Kafka and ClickHouse run elsewhere."""
    if settings.kafka.bootstrap_servers and settings.clickhouse.url:
        return "not used: Kafka and ClickHouse run elsewhere"
    path = settings.state.resolve()
    free = f"{free_bytes(path) / 1024**2:.0f} MB free under {path}"
    if is_full(path):
        raise CheckFailed(f"{free}: free some space, or no request can be accepted or stored")
    if free_bytes(path) < LOW_BYTES:
        raise CheckWarning(free)
    return free
