"""seccomp: system calls that a process gives up, filtered in the kernel.

Two filters: one for a process that opens no connection, starts no program and touches no other process, and one that
also denies every change of a file system. Calls of kernels newer than the tables fail as on an old kernel (ENOSYS), so
a new kernel does not open a new way.
"""

from __future__ import annotations

import ctypes
import errno
import os
import platform
import sys
from collections.abc import Iterable

_ARCHITECTURES = {"x86_64": (0, 0xC000003E, 317), "aarch64": (1, 0xC00000B7, 277)}
"""By machine: its column in the tables, its audit number, the number of seccomp(2)."""

_HIGHEST_KNOWN = 451
_CLONE = (56, 220)
_CLONE3 = 435
_CLONE_THREAD = 0x10000
_PRLIMIT = (302, 261)
_OPEN = (2, None)
_OPENAT = (257, 56)
_OPENAT2 = 437
_O_WRITING = os.O_WRONLY | os.O_RDWR | os.O_CREAT | os.O_TRUNC | os.O_APPEND

Numbers = dict[str, tuple[int | None, int | None]]

OUTREACHING: Numbers = {
    "socket": (41, 198),
    "connect": (42, 203),
    "bind": (49, 200),
    "execve": (59, 221),
    "execveat": (322, 281),
    "fork": (57, None),
    "vfork": (58, None),
    "ptrace": (101, 117),
    "process_vm_readv": (310, 270),
    "process_vm_writev": (311, 271),
    "kill": (62, 129),
    "tkill": (200, 130),
    "rt_sigqueueinfo": (129, 138),
    "rt_tgsigqueueinfo": (297, 240),
    "pidfd_send_signal": (424, 424),
    "pidfd_open": (434, 434),
    "pidfd_getfd": (438, 438),
    "process_madvise": (440, 440),
    "process_mrelease": (448, 448),
    "kcmp": (312, 272),
    "io_uring_setup": (425, 425),
    "io_uring_enter": (426, 426),
    "io_uring_register": (427, 427),
    "bpf": (321, 280),
    "perf_event_open": (298, 241),
    "userfaultfd": (323, 282),
    "keyctl": (250, 219),
    "add_key": (248, 217),
    "request_key": (249, 218),
    "mount": (165, 40),
    "umount2": (166, 39),
    "pivot_root": (155, 41),
    "chroot": (161, 51),
    "unshare": (272, 97),
    "setns": (308, 268),
    "move_mount": (429, 429),
    "open_tree": (428, 428),
    "fsopen": (430, 430),
    "fsconfig": (431, 431),
    "fsmount": (432, 432),
    "fspick": (433, 433),
    "mount_setattr": (442, 442),
    "init_module": (175, 105),
    "finit_module": (313, 273),
    "delete_module": (176, 106),
    "kexec_load": (246, 104),
    "kexec_file_load": (320, 294),
    "reboot": (169, 142),
    "swapon": (167, 224),
    "swapoff": (168, 225),
    "acct": (163, 89),
    "sethostname": (170, 161),
    "setdomainname": (171, 162),
    "settimeofday": (164, 170),
    "clock_settime": (227, 112),
    "clock_adjtime": (305, 266),
    "adjtimex": (159, 171),
    "iopl": (172, None),
    "ioperm": (173, None),
    "quotactl": (179, 60),
    "quotactl_fd": (443, 443),
    "name_to_handle_at": (303, 264),
    "open_by_handle_at": (304, 265),
    "fanotify_init": (300, 262),
    "mknod": (133, None),
    "mknodat": (259, 33),
    "setuid": (105, 146),
    "setgid": (106, 144),
    "setreuid": (113, 145),
    "setregid": (114, 143),
    "setresuid": (117, 147),
    "setresgid": (119, 149),
    "setgroups": (116, 159),
    "setfsuid": (122, 151),
    "setfsgid": (123, 152),
    "capset": (126, 91),
    "shmget": (29, 194),
    "shmat": (30, 196),
    "shmctl": (31, 195),
    "semget": (64, 190),
    "semop": (65, 193),
    "semctl": (66, 191),
    "semtimedop": (220, 192),
    "msgget": (68, 186),
    "msgsnd": (69, 189),
    "msgrcv": (70, 188),
    "msgctl": (71, 187),
    "mq_open": (240, 180),
    "mq_unlink": (241, 181),
    "personality": (135, 92),
    "syslog": (103, 116),
    "vhangup": (153, 58),
    "uselib": (134, None),
    "memfd_secret": (447, 447),
}
"""Sockets, programs, other processes, privileges, the kernel: (x86_64, aarch64), None where there is no such call."""

CHANGING: Numbers = {
    "creat": (85, None),
    "mkdir": (83, None),
    "mkdirat": (258, 34),
    "rename": (82, None),
    "renameat": (264, 38),
    "renameat2": (316, 276),
    "unlink": (87, None),
    "unlinkat": (263, 35),
    "rmdir": (84, None),
    "link": (86, None),
    "linkat": (265, 37),
    "symlink": (88, None),
    "symlinkat": (266, 36),
    "truncate": (76, 45),
    "ftruncate": (77, 46),
    "chmod": (90, None),
    "fchmod": (91, 52),
    "fchmodat": (268, 53),
    "chown": (92, None),
    "fchown": (93, 55),
    "lchown": (94, None),
    "fchownat": (260, 54),
    "utime": (132, None),
    "utimes": (235, None),
    "futimesat": (261, None),
    "utimensat": (280, 88),
    "setxattr": (188, 5),
    "lsetxattr": (189, 6),
    "fsetxattr": (190, 7),
    "removexattr": (197, 14),
    "lremovexattr": (198, 15),
    "fremovexattr": (199, 16),
    "fallocate": (285, 47),
    "copy_file_range": (326, 285),
    "sendfile": (40, 71),
    "socketpair": (53, 199),
}
"""Changes of a file system, beside opening a file for writing; new pairs of sockets as well."""

_LOAD, _EQUAL, _GREATER_OR_EQUAL, _ANY_BIT, _RETURN = 0x20, 0x15, 0x35, 0x45, 0x06
_ALLOW = 0x7FFF0000
_DENY = 0x00050000 | errno.EPERM
_UNKNOWN = 0x00050000 | errno.ENOSYS
_NUMBER, _ARCHITECTURE = 0, 4
_SET_MODE_FILTER = 1
_GET_ACTION_AVAIL = 2
_TSYNC = 1

Instruction = tuple[int, int, int, int]


class _Filter(ctypes.Structure):
    _fields_ = (("code", ctypes.c_uint16), ("jt", ctypes.c_uint8), ("jf", ctypes.c_uint8), ("k", ctypes.c_uint32))


class _Program(ctypes.Structure):
    _fields_ = (("length", ctypes.c_uint16), ("filters", ctypes.POINTER(_Filter)))


def is_available() -> bool:
    """Return whether this kernel takes filters and its architecture is in the tables."""
    if not sys.platform.startswith("linux") or platform.machine() not in _ARCHITECTURES:
        return False
    action = ctypes.c_uint32(_DENY & 0xFFFF0000)
    return _seccomp(_GET_ACTION_AVAIL, 0, ctypes.byref(action)) == 0


def deny_outreach() -> None:
    """Deny all threads of the process sockets, programs and other processes. ``PR_SET_NO_NEW_PRIVS`` must be set.

    A socket that is open already can still accept, read and write.

    Raises:
        OSError: the kernel refused.

    """
    column = _ARCHITECTURES[platform.machine()][0]
    _install(
        [
            *_deny(column, OUTREACHING),
            *_when(_CLONE3, [(_RETURN, 0, 0, _UNKNOWN)]),  # its flags are out of a filter's reach; libc then uses clone
            *_when(_CLONE[column], [(_LOAD, 0, 0, _argument(0)), (_ANY_BIT, 1, 0, _CLONE_THREAD), _refuse()]),
            *_when(_PRLIMIT[column], [(_LOAD, 0, 0, _argument(0)), (_EQUAL, 1, 0, 0), _refuse()]),
        ]
    )


def deny_changes() -> None:
    """Deny all threads of the process every change of a file system. ``PR_SET_NO_NEW_PRIVS`` must be set.

    Raises:
        OSError: the kernel refused.

    """
    column = _ARCHITECTURES[platform.machine()][0]
    rules = [*_deny(column, CHANGING), *_when(_OPENAT2, [(_RETURN, 0, 0, _UNKNOWN)])]
    for number, flags in ((_OPEN[column], 1), (_OPENAT[column], 2)):
        if number is not None:
            rules += _when(number, [(_LOAD, 0, 0, _argument(flags)), (_ANY_BIT, 0, 1, _O_WRITING), _refuse()])
    _install(rules)


def _refuse() -> Instruction:
    return (_RETURN, 0, 0, _DENY)


def _argument(index: int) -> int:
    """Return the place of an argument's lower half in ``seccomp_data``."""
    return 16 + 8 * index


def _when(number: int, block: list[Instruction]) -> list[Instruction]:
    """Run a block for one call; whatever it does not refuse is allowed."""
    body = [*block, (_RETURN, 0, 0, _ALLOW)]
    return [(_EQUAL, 0, len(body), number), *body]


def _deny(column: int, numbers: Numbers) -> list[Instruction]:
    known = (pair[column] for pair in numbers.values())
    return [line for number in known if number is not None for line in ((_EQUAL, 0, 1, number), _refuse())]


def _install(rules: Iterable[Instruction]) -> None:
    _, architecture, _ = _ARCHITECTURES[platform.machine()]
    program = [
        (_LOAD, 0, 0, _ARCHITECTURE),
        (_EQUAL, 1, 0, architecture),
        _refuse(),
        (_LOAD, 0, 0, _NUMBER),
        (_GREATER_OR_EQUAL, 0, 1, _HIGHEST_KNOWN + 1),  # the x32 calls begin above it as well
        (_RETURN, 0, 0, _UNKNOWN),
        *rules,
        (_RETURN, 0, 0, _ALLOW),
    ]
    filters = (_Filter * len(program))(*(_Filter(*line) for line in program))
    if _seccomp(_SET_MODE_FILTER, _TSYNC, ctypes.byref(_Program(len(program), filters))):
        number = ctypes.get_errno()
        raise OSError(number, f"seccomp: {os.strerror(number)}")


def _seccomp(operation: int, flags: int, argument: object) -> int:
    library = ctypes.CDLL(None, use_errno=True)
    library.syscall.restype = ctypes.c_long
    number = _ARCHITECTURES[platform.machine()][2]
    return int(library.syscall(ctypes.c_long(number), ctypes.c_uint(operation), ctypes.c_uint(flags), argument))
