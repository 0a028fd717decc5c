"""Free disk space: Kafka exits without an error message when the disk is full."""

from __future__ import annotations

import shutil
from pathlib import Path

FULL_BYTES = 16 * 1024 * 1024
"""A disk with less free space counts as full: Kafka preallocates files of 10 MiB."""


def free_bytes(path: Path) -> int:
    """Return the free bytes under a path, which need not exist."""
    existing = next(folder for folder in (path.absolute(), *path.absolute().parents) if folder.exists())
    return shutil.disk_usage(existing).free


def is_full(path: Path) -> bool:
    """Return whether the disk of this path is full."""
    return free_bytes(path) < FULL_BYTES
