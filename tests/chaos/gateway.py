"""The gateway as in production: two processes of every stage, two ingresses, one audit, each kept running."""

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
AGAIN_S = 0.5
"""After which a process that ended is started again, as a supervisor would."""
READY_WITHIN_S = 180.0
STOP_WITHIN_S = 30.0
SKEWED = Path(__file__).parent / "skewed"


def configuration(bootstrap: str, base_url: str) -> dict[str, Any]:
    """Two models at one provider: one whose doubtful calls are made again, one whose are not."""
    return {
        "kafka": {"bootstrap_servers": bootstrap, "replication_factor": 3},
        "providers": {"double": {"kind": "openai", "base_url": base_url, "api_key": "none"}},
        "models": {
            "again": {"targets": ["double/again"], "timeout_s": 10, "max_attempts": 3, "on_in_doubt": "retry"},
            "once": {"targets": ["double/once"], "timeout_s": 10, "max_attempts": 1, "on_in_doubt": "fail"},
        },
        "tenants": {"hot": {}},
        "deadline_s": 90,
    }


class Process:
    """One `sluice run`, kept running until it is told to stop."""

    def __init__(self, name: str, environ: Mapping[str, str], log: Path) -> None:
        self.name = name
        self.skew_s = 0.0
        self._environ = dict(environ)
        self._log = log
        self._process: asyncio.subprocess.Process | None = None
        self._wanted = False
        self._watch: asyncio.Task[None] | None = None
        self.exits: list[int] = []
        """Every exit code so far; negative for a signal."""

    @property
    def pid(self) -> int:
        assert self._process is not None, f"{self.name} was never started"
        return self._process.pid

    async def start(self) -> None:
        self._wanted = True
        await self._spawn()
        self._watch = asyncio.create_task(self._keep())

    async def stop(self) -> None:
        """SIGTERM; kill -9 if that does not help, which its exit code tells."""
        self._wanted = False
        assert self._process is not None
        if self._process.returncode is None:
            self.signal(signal.SIGTERM)
        try:
            await asyncio.wait_for(self._process.wait(), STOP_WITHIN_S)
        except TimeoutError:
            self.signal(signal.SIGKILL)
        if self._watch is not None:
            await self._watch

    def signal(self, number: signal.Signals) -> None:
        os.kill(self.pid, number)

    async def restart(self, skew_s: float = 0.0) -> None:
        """Stop it in order, and start it with a clock that is so many seconds ahead."""
        await self.stop()
        self.skew_s = skew_s
        await self.start()

    async def _spawn(self) -> None:
        skew = {"CHAOS_CLOCK_SKEW_S": str(self.skew_s), "PYTHONPATH": str(SKEWED)} if self.skew_s else {}
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

    async def _keep(self) -> None:
        while True:
            assert self._process is not None
            self.exits.append(await self._process.wait())
            await asyncio.sleep(AGAIN_S if self._wanted else 0)
            if not self._wanted:
                return
            await self._spawn()


class Gateway:
    """All processes by name, and the doors."""

    def __init__(self, folder: Path, bootstrap: str, base_url: str) -> None:
        self.config = folder / "sluice.yaml"
        self.config.write_text(yaml.safe_dump(configuration(bootstrap, base_url)), "utf-8")
        self.state = folder / "state"
        self.state.mkdir()
        *doors, clickhouse = free_ports(len(INGRESSES) + 1)
        self.doors = tuple(f"http://127.0.0.1:{port}" for port in doors)
        self.clickhouse = f"http://127.0.0.1:{clickhouse}"
        clean = {name: value for name, value in os.environ.items() if not name.startswith("SLUICE_")}
        self.environ = clean | {
            "SLUICE_CONFIG": str(self.config),
            "SLUICE_STATE": str(self.state),
            "SLUICE_CLICKHOUSE_PORT": str(clickhouse),
        }
        logs = folder / "logs"
        logs.mkdir()
        self.processes = {name: Process(name, self.environ, logs / f"{name}.log") for name in WORKERS}
        for number, (name, port) in enumerate(zip(INGRESSES, doors, strict=True)):
            own = {"SLUICE_HTTP_PORT": str(port), "SLUICE_HTTP_INSTANCE": str(number), "SLUICE_HTTP_INSTANCES": "2"}
            self.processes[name] = Process(name, self.environ | own, logs / f"{name}.log")

    async def start(self) -> None:
        await self._run("topics")
        await asyncio.gather(*(process.start() for process in self.processes.values()))
        await self.until_ready()

    async def stop(self) -> None:
        """In the order of the data: doors first, the record last."""
        for names in (INGRESSES, WORKERS[:-1], WORKERS[-1:]):
            await asyncio.gather(*(self.processes[name].stop() for name in names))

    async def until_ready(self, within_s: float = READY_WITHIN_S) -> None:
        """Both doors say that a request would be answered."""
        await eventually(self._is_ready, within=within_s, every=0.3)

    async def _is_ready(self) -> bool:
        async with aiohttp.ClientSession(timeout=aiohttp.ClientTimeout(total=5)) as client:
            for door in self.doors:
                try:
                    async with client.get(f"{door}/readyz") as answer:
                        assert answer.status == 200, await answer.text()
                except (aiohttp.ClientError, TimeoutError) as error:
                    raise AssertionError(f"{door}: {error!r}") from error
        return True

    async def _run(self, *arguments: str) -> None:
        command = (sys.executable, "-m", "streams.cli.main", *arguments)
        process = await asyncio.create_subprocess_exec(*command, env=self.environ, stdout=asyncio.subprocess.DEVNULL)
        assert await process.wait() == 0, f"`sluice {' '.join(arguments)}` failed"
