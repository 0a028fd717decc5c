"""Landlock: the calling thread, and the threads that it starts later, lose access to files, TCP and other processes.

The kernel enforces it (Linux 5.13 and later, if Landlock is enabled); a process can add restrictions and remove none.
"""

from __future__ import annotations

import ctypes
import os
import stat
import sys
from collections.abc import Iterable
from pathlib import Path

_CREATE_RULESET, _ADD_RULE, _RESTRICT_SELF = 444, 445, 446
_VERSION_FLAG = 1
_PATH_BENEATH = 1

_READ_FILE, _READ_DIR = 1 << 2, 1 << 3
_WRITE_FILE, _REFER, _TRUNCATE = 1 << 1, 1 << 13, 1 << 14
_REMOVE = 1 << 4 | 1 << 5
_MAKE = 1 << 7 | 1 << 8 | 1 << 12  # directories, regular files and symbolic links; no sockets, FIFOs or devices
_READ = _READ_FILE | _READ_DIR
_CHANGE = _READ | _WRITE_FILE | _TRUNCATE | _REFER | _REMOVE | _MAKE
_OF_A_FILE = _READ_FILE | _WRITE_FILE | _TRUNCATE

_FS_RIGHTS = {1: (1 << 13) - 1, 2: (1 << 14) - 1, 3: (1 << 15) - 1, 5: (1 << 16) - 1}
"""All rights that a version of the kernel's interface knows, by the version that introduced them."""
_TCP_SINCE, _SCOPES_SINCE = 4, 6
_ALL_TCP = 0b11
_ALL_SCOPES = 0b11  # abstract UNIX sockets and signals


class _RulesetAttr(ctypes.Structure):
    _fields_ = (("fs", ctypes.c_uint64), ("net", ctypes.c_uint64), ("scoped", ctypes.c_uint64))


class _PathBeneathAttr(ctypes.Structure):
    _pack_ = 1
    _fields_ = (("allowed", ctypes.c_uint64), ("parent_fd", ctypes.c_int32))


def abi_version() -> int:
    """Return the version of Landlock's interface in this kernel; 0 if there is none."""
    if not sys.platform.startswith("linux"):
        return 0
    return max(0, _syscall(_CREATE_RULESET, None, 0, _VERSION_FLAG))


def restrict(readable: Iterable[Path], writable: Iterable[Path]) -> int:
    """Restrict the calling thread to these files and folders, and return the version that enforces it; 0 if none does.

    Paths that do not exist are skipped. Version 4 also denies TCP, version 6 signals to processes outside and abstract
    UNIX sockets. ``PR_SET_NO_NEW_PRIVS`` must be set before.

    Raises:
        OSError: the kernel knows Landlock, but refused.

    """
    abi = abi_version()
    if not abi:
        return 0
    handled = _FS_RIGHTS[max(version for version in _FS_RIGHTS if version <= abi)]
    has_tcp, has_scopes = abi >= _TCP_SINCE, abi >= _SCOPES_SINCE
    attr = _RulesetAttr(handled, _ALL_TCP if has_tcp else 0, _ALL_SCOPES if has_scopes else 0)
    size = 8 * (1 + has_tcp + has_scopes)
    ruleset = _check(_syscall(_CREATE_RULESET, ctypes.byref(attr), size, 0))
    try:
        for paths, rights in ((readable, _READ), (writable, _CHANGE)):
            for path in paths:
                _allow(ruleset, path, rights & handled)
        _check(_syscall(_RESTRICT_SELF, ruleset, 0))
    finally:
        os.close(ruleset)
    return abi


def _allow(ruleset: int, path: Path, rights: int) -> None:
    try:
        descriptor = os.open(path, os.O_PATH | os.O_CLOEXEC)
    except FileNotFoundError:
        return
    try:
        if not stat.S_ISDIR(os.fstat(descriptor).st_mode):
            rights &= _OF_A_FILE
        rule = _PathBeneathAttr(rights, descriptor)
        _check(_syscall(_ADD_RULE, ruleset, _PATH_BENEATH, ctypes.byref(rule), 0))
    finally:
        os.close(descriptor)


def _syscall(number: int, *arguments: object) -> int:
    library = ctypes.CDLL(None, use_errno=True)
    library.syscall.restype = ctypes.c_long
    return int(library.syscall(ctypes.c_long(number), *arguments))


def _check(result: int) -> int:
    if result < 0:
        number = ctypes.get_errno()
        raise OSError(number, f"Landlock: {os.strerror(number)}")
    return result
