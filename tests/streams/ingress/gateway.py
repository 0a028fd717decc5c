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

from streams.app import ingress_config
from streams.config.settings import Settings
from streams.ingress.app import Ingress
from streams.ingress.replies.cache import CachedReply
from streams.ingress.replies.reader import consume_replies
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
