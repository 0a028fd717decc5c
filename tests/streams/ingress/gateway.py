"""The ingress in this process, over the fake log, with clients for it."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncIterator, Mapping
from dataclasses import dataclass, field
from typing import Any

import anthropic
import httpx
import httpx2
import openai
import psutil

from streams.composition import ingress_config
from streams.config.settings import Settings
from streams.ingress.app import Ingress
from streams.ingress.replies.cache import CachedReply
from streams.ingress.replies.reader import consume_replies
from streams.ingress.server import bound, live
from tests.streams.ingress.fake_log import FakeLog

CHAT = {"model": "echo", "messages": [{"role": "user", "content": "hello"}]}


@dataclass
class Gateway:
    """Ingress under test, with the state that a test sets and reads."""

    settings: Settings
    log: FakeLog = field(default_factory=FakeLog)
    missing: Mapping[str, list[tuple[str, int]]] = field(default_factory=dict)
    recorded: dict[tuple[str, str], CachedReply] = field(default_factory=dict)
    """Replies that ClickHouse has, by tenant and request id."""

    def __post_init__(self) -> None:
        self.ingress = Ingress(ingress_config(self.settings), self.log, self._missing, self._lookup)
        self.http = httpx.AsyncClient(
            transport=httpx.ASGITransport(self.ingress, raise_app_exceptions=False), base_url="http://localhost"
        )

    def openai(self, api_key: str = "none", retries: int = 0) -> openai.AsyncOpenAI:
        """The official client."""
        return openai.AsyncOpenAI(
            api_key=api_key,
            base_url="http://localhost/v1",
            http_client=self.http,  # type: ignore[arg-type]  # its types name httpx2 alone
            max_retries=retries,
        )

    def anthropic(self, api_key: str = "none") -> anthropic.AsyncAnthropic:
        """Anthropic's official client."""
        return anthropic.AsyncAnthropic(
            api_key=api_key,
            base_url="http://localhost",
            http_client=httpx2.AsyncClient(transport=httpx2.ASGITransport(self.ingress)),
            max_retries=0,
        )

    async def chat(self, headers: Mapping[str, str] | None = None, **body: Any) -> httpx.Response:
        """One chat request."""
        return await self.http.post("/v1/chat/completions", json=CHAT | body, headers=headers)

    async def count(self, name: str) -> float:
        """The sum of a metric over its labels."""
        lines = (await self.http.get("/metrics")).text.splitlines()
        return sum(float(line.rpartition(" ")[2]) for line in lines if line.startswith((f"{name} ", f"{name}{{")))

    async def _missing(self) -> Mapping[str, list[tuple[str, int]]]:
        return self.missing

    async def _lookup(self, tenant: str, request_id: str) -> CachedReply | None:
        return self.recorded.get((tenant, request_id))


@dataclass
class RunningGateway:
    """A gateway behind a socket."""

    gateway: Gateway
    port: int

    async def exchange(self, request: bytes, within_s: float = 10) -> bytes:
        """Send these bytes, and read until the gateway closes the connection."""
        reader, writer = await asyncio.open_connection("127.0.0.1", self.port)
        received = b""
        with contextlib.suppress(ConnectionError):
            writer.write(request)
            async with asyncio.timeout(within_s):
                while chunk := await reader.read(65536):
                    received += chunk
        writer.close()
        return received

    def has_connection_from(self, port: int) -> bool:
        """Return whether the gateway still has the connection from this port."""
        connections = psutil.Process().net_connections("tcp")
        return any(each.laddr.port == self.port and each.raddr and each.raddr.port == port for each in connections)

    async def serves_others(self) -> bool:
        """Return whether another client gets a response."""
        received = await self.exchange(b"GET /healthz HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n")
        return received.startswith(b"HTTP/1.1 200 ")


@contextlib.asynccontextmanager
async def on_socket(**settings: Any) -> AsyncIterator[RunningGateway]:
    """A gateway behind a socket of its own."""
    http = {"port": 0, **settings.pop("http", {})}
    gateway = Gateway(Settings.model_validate({**settings, "http": http}))
    stop = asyncio.Event()
    with bound(gateway.settings.http) as listener:
        task = asyncio.create_task(live(gateway.ingress, gateway.log, listener, stop))
        yield RunningGateway(gateway, listener.getsockname()[1])
        stop.set()
        gateway.ingress.abort_all()
        async with asyncio.timeout(20):
            await asyncio.gather(task, return_exceptions=True)


@contextlib.asynccontextmanager
async def running(**settings: Any) -> AsyncIterator[Gateway]:
    """A gateway whose replies are followed."""
    gateway = Gateway(Settings.model_validate(settings))
    following = asyncio.create_task(consume_replies(gateway.log, gateway.ingress.deliver))
    try:
        yield gateway
    finally:
        following.cancel()
        await gateway.http.aclose()
