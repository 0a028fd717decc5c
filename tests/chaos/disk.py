"""The disk under ClickHouse's files: a small one of its own where we may mount one, so that it can be full."""

from __future__ import annotations

import contextlib
import errno
import resource
import subprocess
from pathlib import Path

SIZE = "768m"
CHUNK = b"\0" * (1024 * 1024)


class Disk:
    """Full means ENOSPC where it is mounted; elsewhere the process may write no file at all any more (EFBIG)."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._balloon = folder / "balloon"
        self.mounted = False

    def mount(self) -> None:
        """Needs root, and leave to mount; without either the disk is the machine's."""
        command = ["mount", "-t", "tmpfs", "-o", f"size={SIZE}", "tmpfs", str(self._folder)]
        with contextlib.suppress(OSError):
            self.mounted = subprocess.run(command, capture_output=True, check=False).returncode == 0

    def unmount(self) -> None:
        if self.mounted:
            subprocess.run(["umount", "--lazy", str(self._folder)], check=True)

    def fill(self, pid: int) -> None:
        """Leave no room for the files of the process that writes here."""
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
        """There is room again."""
        if self.mounted:
            self._balloon.unlink()
        else:
            resource.prlimit(pid, resource.RLIMIT_FSIZE, (resource.RLIM_INFINITY, resource.RLIM_INFINITY))
