"""ClickHouse's port on loopback: the audit process holds it, and a process of its own answers on it.

Queries run where there is nothing to steal and nothing to write: the reader process has an empty environment and
restricts itself (see ``sandbox``). If it exits it is started again; connections wait in the socket's backlog meanwhile.
"""

from __future__ import annotations

import contextlib
import itertools
import json
import os
import shutil
import socket
import subprocess
import sys
import threading
from pathlib import Path

import structlog

from connectors.clickhouse.embedded.credentials import Readers
from connectors.clickhouse.embedded.sandbox import Restrictions

log = structlog.get_logger()

RESTART_BACKOFF_S = (0.2, 1.0, 5.0, 15.0)
"""Waits before the reader process is started again; the last one repeats."""
START_TIMEOUT_S = 60.0
"""Time for the reader process to load the engine, about 2 s on a machine that is not busy."""
STOP_TIMEOUT_S = 5.0
"""Time for the reader process to end its queries, before it is killed."""

_MODULE = "connectors.clickhouse.embedded.reader_process"
_PASSED_ON = ("TZ", "LD_LIBRARY_PATH")
"""Environment variables that the reader process inherits; it gets no other."""
_numbers = itertools.count(1)


class Endpoint:
    """The port, and the reader process behind it. Making one waits until the process serves or has failed once.

    ``readers`` are the hashes of the keys that may read; None if every process of this machine may.

    Raises:
        OSError: the port is taken.

    """

    def __init__(self, path: Path, database: str, port: int, readers: Readers | None = None) -> None:
        self._socket = socket.create_server(("127.0.0.1", port), backlog=128)
        self.port: int = self._socket.getsockname()[1]
        self._source = path.resolve()
        self._database = database
        self._readers = readers
        self._folder = _new_folder(self._source)
        self._lock = threading.Lock()
        self._process: subprocess.Popen[str] | None = None
        self._closed = threading.Event()
        self._reloading = False
        self._serves = threading.Event()
        self._tried = threading.Event()
        self.restrictions: Restrictions | None = None
        """Restrictions of the running reader process; None until it serves."""
        self._thread = threading.Thread(target=self._keep_running, name="clickhouse-reader", daemon=True)
        self._thread.start()
        if not self._tried.wait(START_TIMEOUT_S) or not self._serves.is_set():
            log.error("clickhouse.reader_not_serving", port=self.port)

    @property
    def pid(self) -> int | None:
        """The reader process, if one runs."""
        process = self._process
        return process.pid if process is not None and process.poll() is None else None

    def wait_until_serving(self, timeout_s: float) -> bool:
        """Wait for the reader process to serve, and return whether it does."""
        return self._serves.wait(timeout_s)

    def reload(self) -> None:
        """Replace the reader process: it does not see by itself that a part is gone without a successor."""
        with self._lock:
            self._reloading = True
            if self._process is not None:
                self._process.terminate()

    def close(self) -> None:
        """End the queries that run, free the port and remove the reader's folder. May be called twice."""
        with self._lock:
            self._closed.set()
            self._terminate()
        self._thread.join()
        self._socket.close()
        shutil.rmtree(self._folder, ignore_errors=True)

    def _keep_running(self) -> None:
        failures = 0
        while not self._closed.is_set():
            code, served = self._run_once()
            if self._closed.is_set():
                return
            if self._reloading:
                self._reloading = False
                continue
            failures = 0 if served else failures + 1
            wait_s = RESTART_BACKOFF_S[min(failures, len(RESTART_BACKOFF_S) - 1)]
            log.warning("clickhouse.reader_exited", code=code, restart_in_s=wait_s)
            self._closed.wait(wait_s)

    def _run_once(self) -> tuple[int, bool]:
        """Start the process and read its output until it exits; return its code and whether it served."""
        with self._lock:
            if self._closed.is_set():
                return 0, False
            shutil.rmtree(self._folder, ignore_errors=True)
            self._folder.mkdir(mode=0o700, parents=True)
            process = self._process = self._start()
        served = False
        assert process.stdout is not None
        for line in process.stdout:
            if served or not line.startswith("{"):
                log.warning("clickhouse.reader_output", line=line.rstrip())
                continue
            served = True
            self.restrictions = Restrictions(**json.loads(line))
            self._report(process.pid, self.restrictions)
            self._serves.set()
            self._tried.set()
        self._serves.clear()
        self._tried.set()
        code = process.wait()
        if process.stdin is not None:
            with contextlib.suppress(OSError):
                process.stdin.close()
        process.stdout.close()
        return code, served

    def _start(self) -> subprocess.Popen[str]:
        environment = {name: os.environ[name] for name in _PASSED_ON if name in os.environ}
        process = subprocess.Popen(  # noqa: S603 - our own module
            [sys.executable, "-I", "-B", "-m", _MODULE],
            # chDB makes a temporary folder when it is loaded
            env=environment | {"TMPDIR": str(self._folder)},
            cwd=self._folder,
            pass_fds=[self._socket.fileno()],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            errors="replace",
        )
        spec = {
            "folder": str(self._folder),
            "source": str(self._source),
            "database": self._database,
            "socket": self._socket.fileno(),
            "readers": None if self._readers is None else dict(self._readers),
        }
        if process.stdin is not None:
            with contextlib.suppress(OSError):  # it exited; its output says why
                process.stdin.write(json.dumps(spec) + "\n")
                process.stdin.flush()
        return process

    def _terminate(self) -> None:
        process = self._process
        if process is None or process.poll() is not None:
            return
        process.terminate()
        try:
            process.wait(STOP_TIMEOUT_S)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()

    @staticmethod
    def _report(pid: int, restrictions: Restrictions) -> None:
        if restrictions.are_complete:
            log.info("clickhouse.reader_started", pid=pid, landlock_abi=restrictions.landlock_abi)
        else:
            log.warning(
                "clickhouse.reader_started",
                pid=pid,
                missing=restrictions.missing,
                consequence="queries are checked by rules and by the engine's rights alone, not by the kernel",
            )


def _new_folder(source: Path) -> Path:
    """Return a folder beside the data that no other endpoint uses, and remove those of processes that are gone."""
    prefix = f"{source.name}-reader-"
    for folder in source.parent.glob(f"{prefix}*"):
        owner = folder.name.removeprefix(prefix).partition("-")[0]
        if owner.isdecimal() and not _is_running(int(owner)):
            shutil.rmtree(folder, ignore_errors=True)
    return source.parent / f"{prefix}{os.getpid()}-{next(_numbers)}"


def _is_running(pid: int) -> bool:
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    except PermissionError:
        return True
    return True
