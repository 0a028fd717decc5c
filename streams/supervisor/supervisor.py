"""Supervisor of `sluice up`: the whole gateway on this machine as child processes, restarted when they exit.

The broker, the filter, route and reply stages together, the call stage, audit with ClickHouse, and the ingress each
have a process, so that they use all cores and each may crash alone. They are stopped in the order of the data: the
ingress first, the broker last.
"""

from __future__ import annotations

import asyncio
import contextlib
import os
from collections.abc import Callable, Mapping
from pathlib import Path

import httpx
import structlog

from connectors.kafka import BrokerUnavailableError
from connectors.kafka.embedded.broker import BrokerError, EmbeddedBroker
from streams.config.settings import Settings
from streams.config.start_checks import check_startable
from streams.pipeline.backoff import backoff
from streams.provisioning import topics
from streams.supervisor.child_process import RESTART_BACKOFF_S, ChildProcess
from streams.supervisor.preflight import StartError, check_ports

log = structlog.get_logger()

PROCESSES: Mapping[str, tuple[str, ...]] = {
    "audit": ("audit",),
    "flow": ("filter", "route", "reply"),
    "call": ("call",),
    "ingress": ("ingress",),
}
"""Stages of each process, in start order."""
STOPPING = ("ingress", "call", "flow", "audit")
"""Stop order: the ingress, then calls in progress, then replies, then storage."""
READY_TIMEOUT_S = 90.0
PROVISIONING_RETRIES_S = (1.0, 3.0)
"""Delays before the topics are created again, if the embedded broker did not acknowledge in time."""


class Supervisor:
    """Starts the broker and the stages, waits until they are ready, restarts them, and stops them in order."""

    def __init__(self, settings: Settings, config: Path | None, progress: Callable[[str], None]) -> None:
        self._progress = progress
        self._embedded = not settings.kafka.bootstrap_servers
        self.broker = EmbeddedBroker(
            settings.state / "kafka", settings.kafka.port, progress=progress, make_aot_cache=True
        )
        bootstrap = settings.kafka.bootstrap_servers or self.broker.bootstrap_servers
        kafka = settings.kafka.model_copy(update={"bootstrap_servers": bootstrap})
        self.settings = settings.model_copy(update={"kafka": kafka})
        environ = {**os.environ, "SLUICE_KAFKA": bootstrap, "SLUICE_STATE": str(settings.state.resolve())}
        if self._embedded:  # unique on the embedded broker; a killed child gets its partitions back
            environ["SLUICE_INSTANCE_ID"] = settings.kafka.instance_id or "up"
        if config:
            environ["SLUICE_CONFIG"] = str(config.resolve())
        self._children = {name: ChildProcess(name, stages, environ) for name, stages in PROCESSES.items()}
        self._watches: list[asyncio.Task[None]] = []

    @property
    def pids(self) -> dict[str, int | None]:
        """Process ids by name."""
        broker = {"broker": self.broker.pid} if self._embedded else {}
        return broker | {name: child.pid for name, child in self._children.items()}

    async def start(self) -> None:
        """Start everything and wait until a request would be answered. After a failure, ``stop`` stops what runs.

        Raises:
            StartError, BrokerError, KafkaFaultError, ConfigurationError: one sentence each.

        """
        self._check()
        if self._embedded:
            await self.broker.start()
            self._watches.append(asyncio.create_task(self._watch_broker()))
        self._progress("creating topics")
        await self._provision_topics()
        self._progress("starting the stages")
        for child in self._children.values():
            await child.start()
            self._watches.append(asyncio.create_task(child.watch()))
        await self._until_ready()

    async def _provision_topics(self) -> None:
        """Create the topics. On a busy machine the embedded broker may need more than one attempt."""
        for delay_s in PROVISIONING_RETRIES_S if self._embedded else ():
            try:
                await topics.provision_topics(self.settings)
            except BrokerUnavailableError:
                self._progress("creating topics: Kafka did not answer in time, trying again")
                await asyncio.sleep(delay_s)
            else:
                return
        await topics.provision_topics(self.settings)

    def _check(self) -> None:
        """Check before anything runs what would make a child process fail.

        Raises:
            ConfigurationError, StartError: one sentence each.

        """
        settings = self.settings
        check_startable(settings)
        ports = [(settings.http.host, settings.http.port, "SLUICE_HTTP_PORT")]
        if not settings.clickhouse.url:
            ports.append(("127.0.0.1", settings.clickhouse.port, "SLUICE_CLICKHOUSE_PORT"))
        check_ports(ports)

    async def _until_ready(self) -> None:
        missing = "the ingress"
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(READY_TIMEOUT_S), httpx.AsyncClient(timeout=2.0, trust_env=False) as client:
                while missing := await self._missing(client, missing):  # noqa: ASYNC110 - it is another process
                    await asyncio.sleep(0.1)
                return
        raise StartError(f"not ready after {READY_TIMEOUT_S:.0f} s, still waiting for {missing}; see the lines above")

    async def _missing(self, client: httpx.AsyncClient, before: str) -> str:
        """Return what is not ready yet; empty if everything is.

        Raises:
            StartError: a process exited by itself.

        """
        for name, child in self._children.items():
            if child.exit_code:
                stages = " ".join(PROCESSES[name])
                raise StartError(f"`sluice run {stages}` exited with code {child.exit_code}; see the lines above")
        try:
            response = await client.get(f"{self.settings.http.url}/readyz")
        except httpx.HTTPError:
            return before
        return "" if response.status_code == httpx.codes.OK else response.text

    async def _watch_broker(self) -> None:
        """Restart the broker over its data whenever it exits by itself, until it runs."""
        while True:
            code = await self.broker.wait()
            log.warning("broker.exited", code=code, action="restart")
            delays_s = backoff(RESTART_BACKOFF_S)
            while self.broker.pid is None:
                try:
                    await self.broker.start()
                except BrokerError as error:
                    log.error("broker.restart_failed", reason=str(error))
                    await asyncio.sleep(next(delays_s))

    async def stop(self) -> None:
        """Stop everything in the order of the data, so that accepted requests are settled and stored.

        Without a broker no process can finish work for the next one: all stop at once.
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
