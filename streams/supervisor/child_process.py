"""One process of stages under `sluice up`: started, watched, started again when it ends by itself, and stopped."""

from __future__ import annotations

import asyncio
import signal
import sys
from collections.abc import Mapping

import structlog

log = structlog.get_logger()

STOP_TIMEOUT_S = 15.0
RESTART_BACKOFF_S = (0.2, 1.0, 2.0, 5.0, 10.0)
"""Pauses before a process that ended is started again; then the last one."""
STABLE_AFTER_S = 60.0
"""A process that lived so long is started again without a pause."""


class ChildProcess:
    """Runs `sluice run` with some stages. What it says goes where ours goes."""

    def __init__(self, name: str, stages: tuple[str, ...], environ: Mapping[str, str]) -> None:
        self.name = name
        self.exit_code: int | None = None
        """Of the last time that it ended by itself; negative for a signal."""
        self._command = [
            sys.executable,
            "-P",
            "-m",
            "streams.cli.main",
            "run",
            *stages,
        ]  # -P: nothing of the working folder
        self._environ = {**environ, "SLUICE_SUPERVISED": "1", "SLUICE_PROCESS": name}
        self._process: asyncio.subprocess.Process | None = None
        self._wanted = True

    @property
    def pid(self) -> int | None:
        """The process id, while it runs."""
        return self._process.pid if self._process and self._process.returncode is None else None

    async def start(self) -> None:
        """Start it; our end of its standard input tells it when we end. Ctrl-C does not reach it, only we do."""
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
            self.exit_code = code
            attempt = 0 if loop.time() - started > STABLE_AFTER_S else attempt
            log.warning("process ended, starting it again", name=self.name, code=code)
            await asyncio.sleep(RESTART_BACKOFF_S[min(attempt, len(RESTART_BACKOFF_S) - 1)])
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
            await asyncio.wait_for(self._process.wait(), STOP_TIMEOUT_S)
        except TimeoutError:
            log.warning("process did not stop in time", name=self.name, within_s=STOP_TIMEOUT_S)
            self._process.kill()
            await self._process.wait()
