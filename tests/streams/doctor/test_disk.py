from __future__ import annotations

from pathlib import Path

import pytest

from connectors.kafka.embedded import disk_space as room_on_disk
from streams.config.settings import Settings
from streams.doctor import disk
from streams.doctor.finding import CheckFailed, CheckWarning


async def test_what_is_left_is_told_of_a_folder_that_is_yet_to_be_made(tmp_path: Path) -> None:
    path = tmp_path / "not" / "there"

    assert (await disk.free_space(Settings(state=path))).endswith(f" MB left under {path}")


async def test_little_room_is_worth_knowing_and_none_is_wrong(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(disk, "LOW_BYTES", 2**62)
    with pytest.raises(CheckWarning, match=r"\d MB left under"):
        await disk.free_space(Settings(state=tmp_path))

    monkeypatch.setattr(room_on_disk, "FULL_BYTES", 2**62)
    with pytest.raises(CheckFailed, match="make room"):
        await disk.free_space(Settings(state=tmp_path))


async def test_where_others_keep_it_this_disk_is_no_matter() -> None:
    elsewhere = {"kafka": {"bootstrap_servers": "kafka:9092"}, "clickhouse": {"url": "http://clickhouse:8123"}}

    assert await disk.free_space(Settings.model_validate(elsewhere)) == "Kafka and ClickHouse keep theirs elsewhere"
