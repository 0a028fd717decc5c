"""`sluice up`: the whole gateway on this machine, as a few child processes that are watched and started again.

The broker, the thinking stages, the call stage, audit with ClickHouse, and the ingress each have a process, so that all
cores work and any of them may die. Down goes in the order of the data: the door first, the broker last.
"""

from __future__ import annotations

import asyncio
import contextlib
import fcntl
import os
import signal
import socket
import sys
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path

import httpx
import structlog

from connectors.embedded.broker import BrokerError, EmbeddedBroker
from streams import preparation
from streams.settings import ConfigurationError, Settings

log = structlog.get_logger()

PROCESSES: Mapping[str, tuple[str, ...]] = {
    "audit": ("audit",),
    "flow": ("filter", "route", "reply"),
    "call": ("call",),
    "ingress": ("ingress",),
}
"""Which stages share a process; in the order of starting, and the other way round of stopping."""
READY_WITHIN_S = 90.0
STOP_WITHIN_S = 15.0
AGAIN_S = (0.2, 1.0, 2.0, 5.0, 10.0)
"""Pauses before a process that ended is started again."""
LIVED_S = 60.0
"""A process that lived so long is started again without a pause."""


class StartError(Exception):
    """The gateway can't start. The message is one sentence that says what to do."""


class Child:
    """One process of stages, started again when it ends by itself."""

    def __init__(self, name: str, stages: tuple[str, ...], environ: Mapping[str, str]) -> None:
        self.name = name
        self._command = [sys.executable, "-m", "streams.cli", "run", *stages]
        self._environ = {**environ, "SLUICE_SUPERVISED": "1", "SLUICE_PROCESS": name}
        self._process: asyncio.subprocess.Process | None = None
        self._wanted = True

    @property
    def pid(self) -> int | None:
        """The process id, while it runs."""
        return self._process.pid if self._process and self._process.returncode is None else None

    async def start(self) -> None:
        """Start it; our end of its standard input tells it when we end."""
        self._process = await asyncio.create_subprocess_exec(
            *self._command, env=self._environ, stdin=asyncio.subprocess.PIPE, start_new_session=True
        )

    async def watch(self) -> None:
        """Start it again whenever it ends, with growing pauses if it does so at once."""
        attempt, loop = 0, asyncio.get_running_loop()
        while self._process is not None:
            started = loop.time()
            code = await self._process.wait()
            if not self._wanted:
                return
            attempt = 0 if loop.time() - started > LIVED_S else attempt
            log.warning("process ended, starting it again", name=self.name, code=code)
            await asyncio.sleep(AGAIN_S[min(attempt, len(AGAIN_S) - 1)])
            attempt += 1
            if self._wanted:
                await self.start()

    async def stop(self) -> None:
        """Let it finish what is under way; kill it if that takes too long."""
        self._wanted = False
        if self._process is None or self._process.returncode is not None:
            return
        self._process.send_signal(signal.SIGTERM)
        try:
            await asyncio.wait_for(self._process.wait(), STOP_WITHIN_S)
        except TimeoutError:
            log.warning("process did not stop in time", name=self.name)
            self._process.kill()
            await self._process.wait()


class Supervisor:
    """Starts everything, tells when a request would be answered, keeps it running, and ends it in order."""

    def __init__(self, settings: Settings, config: Path | None, progress: Callable[[str], None]) -> None:
        self._progress = progress
        self._embedded = not settings.kafka.bootstrap_servers
        self.broker = EmbeddedBroker(settings.state / "kafka", settings.kafka.port, progress=progress)
        bootstrap = settings.kafka.bootstrap_servers or self.broker.bootstrap_servers
        kafka = settings.kafka.model_copy(update={"bootstrap_servers": bootstrap})
        self.settings = settings.model_copy(update={"kafka": kafka})
        environ = {**os.environ, "SLUICE_KAFKA": bootstrap, "SLUICE_STATE": str(settings.state.resolve())}
        if config:
            environ["SLUICE_CONFIG"] = str(config.resolve())
        self.children = [Child(name, stages, environ) for name, stages in PROCESSES.items()]
        self._watches: list[asyncio.Task[None]] = []

    @property
    def url(self) -> str:
        """Where the ingress listens."""
        host = "127.0.0.1" if self.settings.http.host == "0.0.0.0" else self.settings.http.host  # noqa: S104 - compared
        return f"http://{host}:{self.settings.http.port}"

    @property
    def pids(self) -> dict[str, int | None]:
        """Every process by name."""
        broker = {"broker": self.broker.pid} if self._embedded else {}
        return broker | {child.name: child.pid for child in self.children}

    async def start(self) -> None:
        """Start all of it and wait until a request would be answered.

        Raises:
            StartError, BrokerError, ConfigurationError: one sentence each.

        """
        self._check_ports()
        if self._embedded:
            self._progress("starting Apache Kafka")
            await self.broker.start()
            self._watches.append(asyncio.create_task(self._watch_broker()))
        self._progress("making topics")
        await preparation.prepare_log(self.settings)
        self._progress("starting the stages")
        await asyncio.gather(*(child.start() for child in self.children))
        self._watches += [asyncio.create_task(child.watch()) for child in self.children]
        await self._until_ready()

    def _check_ports(self) -> None:
        ports = [(self.settings.http.host, self.settings.http.port, "SLUICE_HTTP_PORT")]
        if not self.settings.clickhouse.url:
            ports.append(("127.0.0.1", self.settings.clickhouse.port, "SLUICE_CLICKHOUSE_PORT"))
        for host, port, variable in ports:
            with socket.socket() as probe:
                probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
                try:
                    probe.bind((host, port))
                except OSError as error:
                    why = "is taken by another program" if error.errno == 98 else f"can't be used ({error.strerror})"  # noqa: PLR2004 - EADDRINUSE
                    raise StartError(f"port {port} {why}; set {variable} to a free one") from None

    async def _until_ready(self) -> None:
        loop = asyncio.get_running_loop()
        deadline, missing = loop.time() + READY_WITHIN_S, "the ingress"
        async with httpx.AsyncClient(timeout=2.0, trust_env=False) as client:
            while loop.time() < deadline:
                with contextlib.suppress(httpx.HTTPError):
                    answer = await client.get(f"{self.url}/readyz")
                    if answer.status_code == httpx.codes.OK:
                        return
                    missing = answer.text
                await asyncio.sleep(0.1)
        raise StartError(f"not ready after {READY_WITHIN_S:.0f} s, still waiting for {missing}; see the lines above")

    async def _watch_broker(self) -> None:
        """Start the broker again over its data when it ends by itself."""
        while True:
            code = await self.broker.wait()
            log.warning("broker ended, starting it again", code=code)
            for pause in (*AGAIN_S, None):
                try:
                    await self.broker.start()
                    break
                except BrokerError as error:
                    if pause is None:
                        log.error("broker can't be started again", reason=str(error))
                        return
                    await asyncio.sleep(pause)

    async def stop(self) -> None:
        """End it in the order of the data, so that what was accepted is settled and stored."""
        ordered = [child for child in reversed(self.children) if child.name != "audit"]
        watches, self._watches = self._watches, []
        for child in ordered:
            await child.stop()
        for child in self.children:
            await child.stop()
        for watch in watches:
            watch.cancel()
        if self._embedded:
            await self.broker.stop()


@contextlib.contextmanager
def alone(state: Path) -> Iterator[None]:
    """Hold the state directory: two gateways over the same data would harm it.

    Raises:
        ConfigurationError: somebody else holds it, or it can't be written.

    """
    try:
        state.mkdir(parents=True, exist_ok=True)
        lock = (state / "lock").open("a")
    except OSError as error:
        raise ConfigurationError(
            f"{state}: can't be written ({error.strerror}); SLUICE_STATE names another place"
        ) from None
    with lock:
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError:
            raise StartError(f"another `sluice up` runs over {state}; stop it, or set SLUICE_STATE") from None
        yield
