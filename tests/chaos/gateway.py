"""The gateway as in production: two processes of every stage, two ingresses, one audit, all supervised."""

from __future__ import annotations

import asyncio
import os
import signal
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import aiohttp
import yaml

from tests.chaos.cluster import free_ports
from tests.eventually import eventually

WORKERS = ("filter-0", "filter-1", "route-0", "route-1", "call-0", "call-1", "reply-0", "reply-1", "audit")
INGRESSES = ("ingress-0", "ingress-1")
RESTART_DELAY_S = 0.5
"""Delay before a process that exited is restarted."""
READY_WITHIN_S = 180.0
STOP_WITHIN_S = 30.0
SKEWED_CLOCK = Path(__file__).parent / "skewed"


def configuration(bootstrap: str, base_url: str) -> dict[str, Any]:
    """Return a configuration with one provider and two models: calls in doubt are retried, or fail."""
    return {
        "kafka": {"bootstrap_servers": bootstrap, "replication_factor": 3},
        "providers": {"mock": {"kind": "openai", "base_url": base_url, "api_key": "none"}},
        "models": {
            "again": {"targets": ["mock/again"], "timeout_s": 10, "max_attempts": 3, "on_in_doubt": "retry"},
            "once": {"targets": ["mock/once"], "timeout_s": 10, "max_attempts": 1, "on_in_doubt": "fail"},
        },
        "tenants": {name: {"reply_topics": ["llm.replies.chaos"]} for name in ("default", "hot")},
        "deadline_s": 90,
    }


class SupervisedProcess:
    """One `sluice run`, restarted whenever it exits until it is stopped."""

    def __init__(self, name: str, environ: Mapping[str, str], log: Path) -> None:
        self.name = name
        self.skew_s = 0.0
        self._environ = dict(environ)
        self._log = log
        self._process: asyncio.subprocess.Process | None = None
        self._should_run = False
        self._supervisor: asyncio.Task[None] | None = None
        self.exits: list[int] = []
        """Exit codes so far; negative for a signal."""

    @property
    def pid(self) -> int:
        assert self._process is not None, f"{self.name} was never started"
        return self._process.pid

    async def start(self) -> None:
        self._should_run = True
        await self._spawn()
        self._supervisor = asyncio.create_task(self._supervise())

    async def stop(self) -> None:
        """Send SIGTERM, and SIGKILL if the process does not exit in time, which its exit code shows."""
        self._should_run = False
        assert self._process is not None
        if self._process.returncode is None:
            self.signal(signal.SIGTERM)
        try:
            await asyncio.wait_for(self._process.wait(), STOP_WITHIN_S)
        except TimeoutError:
            self.signal(signal.SIGKILL)
        if self._supervisor is not None:
            await self._supervisor

    def signal(self, number: signal.Signals) -> None:
        os.kill(self.pid, number)

    async def restart(self, skew_s: float = 0.0) -> None:
        """Restart it gracefully, with a wall clock that is ``skew_s`` seconds ahead."""
        await self.stop()
        self.skew_s = skew_s
        await self.start()

    async def _spawn(self) -> None:
        skew = {"CHAOS_CLOCK_SKEW_S": str(self.skew_s), "PYTHONPATH": str(SKEWED_CLOCK)} if self.skew_s else {}
        stage = self.name.partition("-")[0]
        with self._log.open("ab") as output:
            self._process = await asyncio.create_subprocess_exec(
                *(sys.executable, "-m", "streams.cli.main", "run", stage),
                env=self._environ | skew | {"SLUICE_SUPERVISED": "1"},
                stdin=asyncio.subprocess.PIPE,
                stdout=output,
                stderr=output,
                start_new_session=True,
            )

    async def _supervise(self) -> None:
        while True:
            assert self._process is not None
            self.exits.append(await self._process.wait())
            await asyncio.sleep(RESTART_DELAY_S if self._should_run else 0)
            if not self._should_run:
                return
            await self._spawn()


class ChaosGateway:
    """All processes by name, and the URLs of the ingresses and of ClickHouse."""

    def __init__(self, folder: Path, bootstrap: str, base_url: str) -> None:
        self.config = folder / "sluice.yaml"
        self.config.write_text(yaml.safe_dump(configuration(bootstrap, base_url)), "utf-8")
        self.state = folder / "state"
        self.state.mkdir()
        *http_ports, clickhouse = free_ports(len(INGRESSES) + 1)
        self.ingress_urls = tuple(f"http://127.0.0.1:{port}" for port in http_ports)
        self.clickhouse = f"http://127.0.0.1:{clickhouse}"
        clean = {name: value for name, value in os.environ.items() if not name.startswith("SLUICE_")}
        self.environ = clean | {
            "SLUICE_CONFIG": str(self.config),
            "SLUICE_STATE": str(self.state),
            "SLUICE_CLICKHOUSE_PORT": str(clickhouse),
        }
        logs = folder / "logs"
        logs.mkdir()
        self.processes = {name: SupervisedProcess(name, self.environ, logs / f"{name}.log") for name in WORKERS}
        for number, (name, port) in enumerate(zip(INGRESSES, http_ports, strict=True)):
            own = {"SLUICE_HTTP_PORT": str(port), "SLUICE_HTTP_INSTANCE": str(number), "SLUICE_HTTP_INSTANCES": "2"}
            self.processes[name] = SupervisedProcess(name, self.environ | own, logs / f"{name}.log")

    async def start(self) -> None:
        await self._run("topics")
        await asyncio.gather(*(process.start() for process in self.processes.values()))
        await self.wait_until_ready()

    async def stop(self) -> None:
        """Stop all in the order of the data: ingresses first, audit last."""
        for names in (INGRESSES, WORKERS[:-1], WORKERS[-1:]):
            await asyncio.gather(*(self.processes[name].stop() for name in names))

    async def wait_until_ready(self, within_s: float = READY_WITHIN_S) -> None:
        """Wait until both ingresses report that they are ready."""
        await eventually(self._is_ready, within=within_s, every=0.3)

    async def _is_ready(self) -> bool:
        async with aiohttp.ClientSession(timeout=aiohttp.ClientTimeout(total=5)) as client:
            for url in self.ingress_urls:
                try:
                    async with client.get(f"{url}/readyz") as answer:
                        assert answer.status == 200, await answer.text()
                except (aiohttp.ClientError, TimeoutError) as error:
                    raise AssertionError(f"{url}: {error!r}") from error
        return True

    async def _run(self, *arguments: str) -> None:
        command = (sys.executable, "-m", "streams.cli.main", *arguments)
        process = await asyncio.create_subprocess_exec(*command, env=self.environ, stdout=asyncio.subprocess.DEVNULL)
        assert await process.wait() == 0, f"`sluice {' '.join(arguments)}` failed"
