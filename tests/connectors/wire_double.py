"""Test server on loopback in place of a provider: it answers as a test configures it."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from typing import Any

from aiohttp import web

CHAT = {
    "id": "chatcmpl-1",
    "object": "chat.completion",
    "created": 1,
    "model": "gpt-4o-2024-08-06",
    "choices": [
        {"index": 0, "message": {"role": "assistant", "content": "Grüße"}, "finish_reason": "stop", "logprobs": None}
    ],
    "usage": {
        "prompt_tokens": 100,
        "completion_tokens": 30,
        "total_tokens": 130,
        "prompt_tokens_details": {"cached_tokens": 40},
        "completion_tokens_details": {"reasoning_tokens": 20},
    },
    "x_unknown": {"kept": True},
}


class Wire:
    """Recorded requests, and the configured answer."""

    def __init__(self) -> None:
        self.requests: list[tuple[str, dict[str, str], bytes]] = []
        self.targets: list[str] = []
        """Paths and queries of the requests, percent-encoded as received."""
        self.url = ""
        self.in_flight = 0
        self.asked: web.Request | None = None
        """The last one."""
        self.reply: Callable[[], Awaitable[web.StreamResponse]] = self._chat

    def answer(self, status: int, body: object, headers: dict[str, str] | None = None) -> None:
        """Answer with JSON, or with bytes as they are."""
        content = body if isinstance(body, bytes) else json.dumps(body).encode()

        async def reply() -> web.StreamResponse:
            return web.Response(status=status, body=content, headers=headers)

        self.reply = reply

    def stuck_after(self, content: bytes) -> Callable[[], Awaitable[web.StreamResponse]]:
        """Begin a body, and never come to its end."""

        async def reply() -> web.StreamResponse:
            assert self.asked is not None
            response = web.StreamResponse()
            await response.prepare(self.asked)
            await response.write(content)
            await asyncio.sleep(30)
            return response

        return reply

    async def _chat(self) -> web.StreamResponse:
        return web.json_response(CHAT)

    async def handle(self, request: web.Request) -> web.StreamResponse:
        headers = {name.lower(): value for name, value in request.headers.items()}
        self.requests.append((request.path, headers, await request.read()))
        self.targets.append(request.raw_path)
        self.asked = request
        self.in_flight += 1
        try:
            return await self.reply()
        finally:
            self.in_flight -= 1

    @property
    def last_body(self) -> Any:
        return json.loads(self.requests[-1][2])


async def hang() -> web.StreamResponse:
    await asyncio.sleep(30)
    return web.Response()


@asynccontextmanager
async def wire() -> AsyncIterator[Wire]:
    """A running server."""
    double = Wire()
    app = web.Application()
    app.router.add_route("*", "/{path:.*}", double.handle)
    runner = web.AppRunner(app, handler_cancellation=True, access_log=None, shutdown_timeout=0.1)
    await runner.setup()
    site = web.TCPSite(runner, "127.0.0.1", 0)
    await site.start()
    server: Any = site._server
    double.url = f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}/v1"
    try:
        yield double
    finally:
        await runner.cleanup()
