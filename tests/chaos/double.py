"""A provider that is none: a real HTTP server that does as it is told, and keeps a note of every call by request."""

from __future__ import annotations

import asyncio
import contextlib
import json
import random
import re
import time
from collections import defaultdict
from dataclasses import dataclass
from typing import Any, Literal

from aiohttp import web

Mode = Literal["ok", "slow", "limiting", "failing", "hanging", "cutting", "down"]
Fate = Literal["open", "paid", "refused", "cut"]
"""Paid: the answer was made, and would be on the bill, whether or not its caller was still there to read it."""

NAMED = re.compile(r"\[request ([^\]]+)\]")
"""How a prompt names its request: nothing else of a request reaches a provider of this kind."""
WORDS = ("Water ", "finds ", "its ", "way ", "through ", "every ", "gate.")
ANSWER = "".join(WORDS)
LATENCY_S = (0.05, 0.4)
SLOW_S = 4.0
RETRY_AFTER_S = 2


@dataclass(slots=True)
class Call:
    """One call that came in."""

    model: str
    at: float
    fate: Fate = "open"


class ProviderDouble:
    """Speaks OpenAI's chat completions, whole and streamed."""

    def __init__(self, port: int, seed: int = 0) -> None:
        self.port = port
        self.mode: Mode = "ok"
        self.calls: dict[str, list[Call]] = defaultdict(list)
        """By the name in the prompt."""
        self._draw = random.Random(seed)
        self._runner: web.AppRunner | None = None
        self._released = asyncio.Event()

    @property
    def base_url(self) -> str:
        return f"http://127.0.0.1:{self.port}/v1"

    async def start(self) -> None:
        app = web.Application()
        app.router.add_post("/v1/chat/completions", self._complete)
        self._runner = web.AppRunner(app, shutdown_timeout=0.1)
        await self._runner.setup()
        await web.TCPSite(self._runner, "127.0.0.1", self.port, reuse_address=True).start()

    async def stop(self) -> None:
        runner, self._runner = self._runner, None
        self._released.set()
        if runner is not None:
            await runner.cleanup()

    async def become(self, mode: Mode) -> None:
        """From now on; whoever hangs is let go when it is over."""
        self.mode = mode
        self._released.set()
        self._released = asyncio.Event()
        if mode == "down":
            await self.stop()
        elif self._runner is None:
            await self.start()

    async def _complete(self, http: web.Request) -> web.StreamResponse:
        body = await http.json()
        found = NAMED.search(body["messages"][-1]["content"])
        call = Call(body["model"], time.time())
        self.calls[found[1] if found else ""].append(call)
        if refusal := self._refusal():
            call.fate = "refused"
            return refusal
        if self.mode == "hanging":
            await self._released.wait()
            call.fate = "cut"
            raise web.HTTPServiceUnavailable
        await asyncio.sleep(SLOW_S if self.mode == "slow" else self._draw.uniform(*LATENCY_S))
        cutting = self.mode == "cutting"
        if body.get("stream"):
            return await self._stream(http, call, cutting=cutting)
        if cutting:
            return self._cut(http, call)
        call.fate = "paid"
        return web.json_response(_answer(call.model))

    def _refusal(self) -> web.Response | None:
        if self.mode == "limiting":
            error = {"message": "Slow down.", "type": "rate_limit_error", "code": "rate_limit_exceeded"}
            return web.json_response({"error": error}, status=429, headers={"retry-after": str(RETRY_AFTER_S)})
        if self.mode == "failing":
            error = {"message": "Something broke.", "type": "server_error", "code": "broken"}
            return web.json_response({"error": error}, status=500)
        return None

    async def _stream(self, http: web.Request, call: Call, *, cutting: bool) -> web.StreamResponse:
        response = web.StreamResponse(headers={"content-type": "text/event-stream"})
        call.fate = "cut" if cutting else "paid"  # from the first token on it costs
        with contextlib.suppress(ConnectionError):  # its caller was killed
            await response.prepare(http)
            for number, word in enumerate(WORDS):
                if cutting and number == len(WORDS) // 2:
                    self._cut(http, call)
                    return response
                await response.write(_event(_chunk(call.model, {"content": word})))
                await asyncio.sleep(0.02)
            await response.write(_event(_chunk(call.model, {}, "stop")))
            await response.write(_event({**_chunk(call.model), "choices": [], "usage": _usage()}))
            await response.write(b"data: [DONE]\n\n")
        return response

    def _cut(self, http: web.Request, call: Call) -> web.Response:
        call.fate = "cut"
        if http.transport is not None:
            http.transport.abort()
        return web.Response()


def _answer(model: str) -> dict[str, Any]:
    choice = {"index": 0, "finish_reason": "stop", "message": {"role": "assistant", "content": ANSWER}}
    return {
        "id": "chatcmpl-double",
        "object": "chat.completion",
        "created": int(time.time()),
        "model": model,
        "choices": [choice],
        "usage": _usage(),
    }


def _chunk(model: str, delta: dict[str, str] | None = None, finish: str | None = None) -> dict[str, Any]:
    return {
        "id": "chatcmpl-double",
        "object": "chat.completion.chunk",
        "created": int(time.time()),
        "model": model,
        "choices": [{"index": 0, "delta": delta or {}, "finish_reason": finish}],
    }


def _usage() -> dict[str, int]:
    return {"prompt_tokens": 12, "completion_tokens": len(WORDS), "total_tokens": 12 + len(WORDS)}


def _event(data: dict[str, Any]) -> bytes:
    return f"data: {json.dumps(data)}\n\n".encode()
