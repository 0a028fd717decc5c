"""Child process of `sluice up` that runs some stages: started, restarted when it exits by itself, and stopped."""

from __future__ import annotations

import asyncio
import sys
from collections.abc import Mapping

import structlog

from connectors.child_processes import stop_process
from streams.pipeline.backoff import backoff

log = structlog.get_logger()

STOP_TIMEOUT_S = 15.0
RESTART_BACKOFF_S = (0.2, 1.0, 2.0, 5.0, 10.0)
"""Delays before a process that exited is restarted; then the last one."""
STABLE_AFTER_S = 60.0
"""After this uptime the delays start from the first again."""


class ChildProcess:
    """Runs `sluice run` with some stages. Its output goes to the output of this process."""

    def __init__(self, name: str, stages: tuple[str, ...], environ: Mapping[str, str]) -> None:
        self.name = name
        self.exit_code: int | None = None
        """Exit code of the last time that it exited by itself; negative for a signal."""
        # -P: no module is imported from the working directory
        self._command = [sys.executable, "-P", "-m", "streams.cli.main", "run", *stages]
        self._environ = {**environ, "SLUICE_SUPERVISED": "1", "SLUICE_PROCESS": name}
        self._process: asyncio.subprocess.Process | None = None
        self._wanted = True

    @property
    def pid(self) -> int | None:
        """The process id, while it runs."""
        return self._process.pid if self._process and self._process.returncode is None else None

    async def start(self) -> None:
        """Start the process.

        It exits when its standard input, a pipe from this process, is closed. Ctrl-C does not reach it.
        """
        self._process = await asyncio.create_subprocess_exec(
            *self._command, env=self._environ, stdin=asyncio.subprocess.PIPE, start_new_session=True
        )

    async def watch(self) -> None:
        """Restart the process whenever it exits, with increasing delays while it exits early."""
        delays_s, loop = backoff(RESTART_BACKOFF_S), asyncio.get_running_loop()
        while self._process is not None:
            started = loop.time()
            code = await self._process.wait()
            if not self._wanted:
                return
            self.exit_code = code
            if loop.time() - started > STABLE_AFTER_S:
                delays_s = backoff(RESTART_BACKOFF_S)
            log.warning("process.exited", name=self.name, code=code, action="restart")
            await asyncio.sleep(next(delays_s))
            if self._wanted:
                await self.start()

    async def stop(self) -> None:
        """Let the process finish its work; kill it after ``STOP_TIMEOUT_S``."""
        self._wanted = False
        if self._process is None or self._process.returncode is not None:
            return
        if not await stop_process(self._process, STOP_TIMEOUT_S):
            log.warning("process.killed", reason="did not stop in time", name=self.name, within_s=STOP_TIMEOUT_S)
