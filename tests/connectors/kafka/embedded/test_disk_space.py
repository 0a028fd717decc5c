from __future__ import annotations

import shutil
from pathlib import Path

import pytest

from connectors.kafka.embedded import disk_space as disk


def test_free_bytes_are_those_of_the_nearest_existing_directory(tmp_path: Path) -> None:
    assert abs(disk.free_bytes(tmp_path / "a" / "b") - shutil.disk_usage(tmp_path).free) < 2**30


def test_disk_is_full_below_the_limit(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    assert not disk.is_full(tmp_path)

    monkeypatch.setattr(disk, "FULL_BYTES", 2**62)

    assert disk.is_full(tmp_path)
