"""`sluice up`: the whole gateway on this machine, as a few child processes that are watched and started again.

The broker, the thinking stages, the call stage, audit with ClickHouse, and the ingress each have a process, so that all
cores work and any of them may die. Down goes in the order of the data: the door first, the broker last.
"""

from __future__ import annotations

import asyncio
import contextlib
import os
from collections.abc import Callable, Mapping
from pathlib import Path

import httpx
import structlog

from connectors.kafka.embedded.broker import BrokerError, EmbeddedBroker
from streams.config.api_keys import check_binding
from streams.config.settings import Settings
from streams.provisioning import topics as preparation
from streams.supervisor.child_process import RESTART_BACKOFF_S, ChildProcess
from streams.supervisor.preflight import StartError, check_ports

log = structlog.get_logger()

PROCESSES: Mapping[str, tuple[str, ...]] = {
    "audit": ("audit",),
    "flow": ("filter", "route", "reply"),
    "call": ("call",),
    "ingress": ("ingress",),
}
"""Which stages share a process, in the order of starting."""
STOPPING = ("ingress", "call", "flow", "audit")
"""The door first, then who finishes calls, then who replies, then who stores it all."""
READY_TIMEOUT_S = 90.0


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
        if self._embedded:  # nobody else is on it under this name, and a child that was killed has its partitions back
            environ["SLUICE_INSTANCE_ID"] = settings.kafka.instance_id or "up"
        if config:
            environ["SLUICE_CONFIG"] = str(config.resolve())
        self._children = {name: ChildProcess(name, stages, environ) for name, stages in PROCESSES.items()}
        self._watches: list[asyncio.Task[None]] = []

    @property
    def pids(self) -> dict[str, int | None]:
        """Every process by name."""
        broker = {"broker": self.broker.pid} if self._embedded else {}
        return broker | {name: child.pid for name, child in self._children.items()}

    async def start(self) -> None:
        """Start all of it and wait until a request would be answered. However this fails, ``stop`` ends what runs.

        Raises:
            StartError, BrokerError, KafkaFaultError, ConfigurationError: one sentence each.

        """
        self._check()
        if self._embedded:
            await self.broker.start()
            self._watches.append(asyncio.create_task(self._watch_broker()))
        self._progress("making topics")
        await preparation.provision_topics(self.settings)
        self._progress("starting the stages")
        for child in self._children.values():
            await child.start()
            self._watches.append(asyncio.create_task(child.watch()))
        await self._until_ready()

    def _check(self) -> None:
        """What would make a child fail is said here, in one sentence, before anything runs."""
        settings = self.settings
        check_binding(settings)
        ports = [(settings.http.host, settings.http.port, "SLUICE_HTTP_PORT")]
        if not settings.clickhouse.url:
            ports.append(("127.0.0.1", settings.clickhouse.port, "SLUICE_CLICKHOUSE_PORT"))
        check_ports(ports)

    async def _until_ready(self) -> None:
        missing = "the ingress to listen"
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(READY_TIMEOUT_S), httpx.AsyncClient(timeout=2.0, trust_env=False) as client:
                while missing := await self._missing(client, missing):  # noqa: ASYNC110 - it is another process
                    await asyncio.sleep(0.1)
                return
        raise StartError(f"not ready after {READY_TIMEOUT_S:.0f} s, still waiting for {missing}; see the lines above")

    async def _missing(self, client: httpx.AsyncClient, before: str) -> str:
        """What is not there yet; a process that ended by itself never will be."""
        for name, child in self._children.items():
            if child.exit_code:
                stages = " ".join(PROCESSES[name])
                raise StartError(f"`sluice run {stages}` ended with code {child.exit_code}; the lines above say why")
        try:
            answer = await client.get(f"{self.settings.http.url}/readyz")
        except httpx.HTTPError:
            return before
        return "" if answer.status_code == httpx.codes.OK else answer.text

    async def _watch_broker(self) -> None:
        """Start the broker again over its data when it ends by itself, for as long as it takes."""
        while True:
            code = await self.broker.wait()
            log.warning("broker ended, starting it again", code=code)
            attempt = 0
            while self.broker.pid is None:
                try:
                    await self.broker.start()
                except BrokerError as error:
                    log.error("broker can't be started again", reason=str(error))
                    await asyncio.sleep(RESTART_BACKOFF_S[min(attempt, len(RESTART_BACKOFF_S) - 1)])
                    attempt += 1

    async def stop(self) -> None:
        """End it in the order of the data, so that what was accepted is settled and stored.

        Without a broker nobody can finish anything for the next in line: all end at once.
        """
        if self._embedded and self.broker.pid is None:
            await asyncio.gather(*(child.stop() for child in self._children.values()))
        for name in STOPPING:
            await self._children[name].stop()
        for watch in self._watches:
            watch.cancel()
        await asyncio.gather(*self._watches, return_exceptions=True)
        if self._embedded:
            await self.broker.stop()
