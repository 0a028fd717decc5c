"""How much room is left under what runs in process: Kafka ends without a word when there is none."""

from __future__ import annotations

import shutil
from pathlib import Path

FULL_BYTES = 16 * 1024 * 1024
"""With less than this a disk counts as full: Kafka writes files of 10 MiB to begin with."""


def free_bytes(path: Path) -> int:
    """Bytes that may still be written under a path that need not be there yet."""
    there = next(folder for folder in (path.absolute(), *path.absolute().parents) if folder.exists())
    return shutil.disk_usage(there).free


def is_full(path: Path) -> bool:
    """Whether what fails under this path fails for want of room."""
    return free_bytes(path) < FULL_BYTES
