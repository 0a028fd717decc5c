"""Disk of ClickHouse's files, which can be filled: a small tmpfs where the harness may mount one."""

from __future__ import annotations

import contextlib
import errno
import resource
import subprocess
from pathlib import Path

SIZE = "768m"
CHUNK = b"\0" * (1024 * 1024)


class Disk:
    """A disk that can be full: ENOSPC on the tmpfs; without a mount, the process can't write any file (EFBIG)."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._balloon = folder / "balloon"
        self.mounted = False

    def mount(self) -> None:
        """Mount the tmpfs; without root or the permission to mount, use the machine's disk."""
        command = ["mount", "-t", "tmpfs", "-o", f"size={SIZE}", "tmpfs", str(self._folder)]
        with contextlib.suppress(OSError):
            self.mounted = subprocess.run(command, capture_output=True, check=False).returncode == 0

    def unmount(self) -> None:
        if self.mounted:
            subprocess.run(["umount", "--lazy", str(self._folder)], check=True)

    def fill(self, pid: int) -> None:
        """Leave no space for the files of this process."""
        if not self.mounted:
            resource.prlimit(pid, resource.RLIMIT_FSIZE, (0, resource.RLIM_INFINITY))
            return
        with self._balloon.open("ab", buffering=0) as balloon:
            try:
                while True:
                    balloon.write(CHUNK)
            except OSError as error:
                if error.errno != errno.ENOSPC:
                    raise

    def free(self, pid: int) -> None:
        """Make space again."""
        if self.mounted:
            self._balloon.unlink()
        else:
            resource.prlimit(pid, resource.RLIMIT_FSIZE, (resource.RLIM_INFINITY, resource.RLIM_INFINITY))
