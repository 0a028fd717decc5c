"""The restrictions that the reader process puts on itself, so that safety does not depend on the query guard.

Nothing here is undone: a restriction holds for the rest of the process's life. ``confine`` comes before the engine
starts its threads, because Landlock holds for the calling thread and those that it starts later; ``forbid_changes``
comes when the engine has made its own files.
"""

from __future__ import annotations

import ctypes
import errno
import resource
import sys
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

from connectors.clickhouse.embedded import landlock, seccomp

_PR_SET_DUMPABLE, _PR_SET_NO_NEW_PRIVS = 4, 38


@dataclass(frozen=True, slots=True)
class Restrictions:
    """The restrictions that a kernel enforces."""

    landlock_abi: int
    """Version of Landlock's interface; 0 if the kernel has none."""
    seccomp: bool

    @property
    def are_complete(self) -> bool:
        """True if the kernel keeps both files and sockets out of reach of every query."""
        return self.landlock_abi > 0 and self.seccomp

    @property
    def missing(self) -> str:
        """Names of the features that the kernel lacks, for messages; empty if it has all."""
        lacking = [name for name, there in (("Landlock", self.landlock_abi), ("seccomp", self.seccomp)) if not there]
        return " and ".join(lacking)


def available_restrictions() -> Restrictions:
    """Return what this kernel would enforce, without restricting anything."""
    return Restrictions(landlock.abi_version(), seccomp.is_available())


def confine(readable: Iterable[Path], writable: Iterable[Path]) -> Restrictions:
    """Give up all files but these, new sockets, programs, other processes, privileges and core dumps.

    On a system without Landlock or seccomp the rest still holds: see ``Restrictions.missing``.

    Raises:
        OSError: the kernel offers a restriction and refused it, or the process has more than one thread.

    """
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
    if not sys.platform.startswith("linux"):
        return Restrictions(0, seccomp=False)
    if len(list(Path("/proc/self/task").iterdir())) > 1:
        raise OSError(errno.EBUSY, "the process has other threads already, which Landlock would not restrict")
    for option, value in ((_PR_SET_DUMPABLE, 0), (_PR_SET_NO_NEW_PRIVS, 1)):
        if ctypes.CDLL(None, use_errno=True).prctl(option, value, 0, 0, 0):
            raise OSError(ctypes.get_errno(), "prctl")
    abi = landlock.restrict(readable, writable)
    filtered = seccomp.is_available()
    if filtered:
        seccomp.deny_outreach()
    return Restrictions(abi, seccomp=filtered)


def forbid_changes() -> None:
    """Give up writing any file, in all threads; where there is no seccomp, writing any byte into one."""
    resource.setrlimit(resource.RLIMIT_FSIZE, (0, 0))
    if seccomp.is_available():
        seccomp.deny_changes()
