from __future__ import annotations

from pathlib import Path

import pytest

from connectors.kafka.embedded import disk_space
from streams.config.settings import Settings
from streams.doctor import disk
from streams.doctor.finding import CheckFailed, CheckWarning


async def test_free_space_of_a_missing_directory_is_reported(tmp_path: Path) -> None:
    path = tmp_path / "not" / "there"

    assert (await disk.free_space(Settings(state=path))).endswith(f" MB free under {path}")


async def test_low_space_is_a_warning_and_a_full_disk_fails(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(disk, "LOW_BYTES", 2**62)
    with pytest.raises(CheckWarning, match=r"\d MB free under"):
        await disk.free_space(Settings(state=tmp_path))

    monkeypatch.setattr(disk_space, "FULL_BYTES", 2**62)
    with pytest.raises(CheckFailed, match="free some space"):
        await disk.free_space(Settings(state=tmp_path))


async def test_disk_is_not_checked_if_kafka_and_clickhouse_run_elsewhere() -> None:
    elsewhere = {"kafka": {"bootstrap_servers": "kafka:9092"}, "clickhouse": {"url": "http://clickhouse:8123"}}

    assert await disk.free_space(Settings.model_validate(elsewhere)) == "not used: Kafka and ClickHouse run elsewhere"
