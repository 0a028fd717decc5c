from __future__ import annotations

import shutil
from pathlib import Path

import pytest

from connectors.kafka.embedded import disk_space as disk


def test_room_is_that_of_the_disk_which_the_path_will_be_on(tmp_path: Path) -> None:
    assert abs(disk.free_bytes(tmp_path / "a" / "b") - shutil.disk_usage(tmp_path).free) < 2**30


def test_full_is_a_matter_of_bytes(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    assert not disk.is_full(tmp_path)

    monkeypatch.setattr(disk, "FULL_BYTES", 2**62)

    assert disk.is_full(tmp_path)
