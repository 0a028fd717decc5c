"""Mock provider: a real HTTP server with switchable behaviour, which records every call by the name of its request."""

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
CallStatus = Literal["open", "paid", "refused", "cut"]
"""Paid: the provider generated the answer and would bill it, even if no client read it."""

REQUEST_NAME = re.compile(r"\[request ([^\]]+)\]")
"""The request's name in a prompt: no other part of a request's identity reaches such a provider."""
WORDS = ("Water ", "finds ", "its ", "way ", "through ", "every ", "gate.")
ANSWER = "".join(WORDS)
LATENCY_S = (0.05, 0.4)
SLOW_S = 4.0
RETRY_AFTER_S = 2


@dataclass(slots=True)
class ReceivedCall:
    """One call that the provider received."""

    model: str
    received_at: float
    status: CallStatus = "open"


class MockProvider:
    """HTTP server with OpenAI's chat completions, whole and streamed."""

    def __init__(self, port: int, seed: int = 0) -> None:
        self.port = port
        self.mode: Mode = "ok"
        self.calls: dict[str, list[ReceivedCall]] = defaultdict(list)
        """By the request's name in the prompt."""
        self._random = random.Random(seed)
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

    async def set_mode(self, mode: Mode) -> None:
        """Change the behaviour, and release the calls that hang."""
        self.mode = mode
        self._released.set()
        self._released = asyncio.Event()
        if mode == "down":
            await self.stop()
        elif self._runner is None:
            await self.start()

    async def _complete(self, http: web.Request) -> web.StreamResponse:
        body = await http.json()
        found = REQUEST_NAME.search(body["messages"][-1]["content"])
        call = ReceivedCall(body["model"], time.time())
        self.calls[found[1] if found else ""].append(call)
        if error := self._error_response():
            call.status = "refused"
            return error
        if self.mode == "hanging":
            await self._released.wait()
            call.status = "cut"
            raise web.HTTPServiceUnavailable
        await asyncio.sleep(SLOW_S if self.mode == "slow" else self._random.uniform(*LATENCY_S))
        cutting = self.mode == "cutting"
        if body.get("stream"):
            return await self._stream(http, call, cutting=cutting)
        if cutting:
            return self._abort(http, call)
        call.status = "paid"
        return web.json_response(_completion(call.model))

    def _error_response(self) -> web.Response | None:
        if self.mode == "limiting":
            error = {"message": "Slow down.", "type": "rate_limit_error", "code": "rate_limit_exceeded"}
            return web.json_response({"error": error}, status=429, headers={"retry-after": str(RETRY_AFTER_S)})
        if self.mode == "failing":
            error = {"message": "Something broke.", "type": "server_error", "code": "broken"}
            return web.json_response({"error": error}, status=500)
        return None

    async def _stream(self, http: web.Request, call: ReceivedCall, *, cutting: bool) -> web.StreamResponse:
        response = web.StreamResponse(headers={"content-type": "text/event-stream"})
        call.status = "cut" if cutting else "paid"  # the first token is billed already
        with contextlib.suppress(ConnectionError):  # the call worker was killed
            await response.prepare(http)
            for number, word in enumerate(WORDS):
                if cutting and number == len(WORDS) // 2:
                    self._abort(http, call)
                    return response
                await response.write(_event(_chunk(call.model, {"content": word})))
                await asyncio.sleep(0.02)
            await response.write(_event(_chunk(call.model, {}, "stop")))
            await response.write(_event({**_chunk(call.model), "choices": [], "usage": _usage()}))
            await response.write(b"data: [DONE]\n\n")
        return response

    def _abort(self, http: web.Request, call: ReceivedCall) -> web.Response:
        call.status = "cut"
        if http.transport is not None:
            http.transport.abort()
        return web.Response()


def _completion(model: str) -> dict[str, Any]:
    choice = {"index": 0, "finish_reason": "stop", "message": {"role": "assistant", "content": ANSWER}}
    return {
        "id": "chatcmpl-mock",
        "object": "chat.completion",
        "created": int(time.time()),
        "model": model,
        "choices": [choice],
        "usage": _usage(),
    }


def _chunk(model: str, delta: dict[str, str] | None = None, finish: str | None = None) -> dict[str, Any]:
    return {
        "id": "chatcmpl-mock",
        "object": "chat.completion.chunk",
        "created": int(time.time()),
        "model": model,
        "choices": [{"index": 0, "delta": delta or {}, "finish_reason": finish}],
    }


def _usage() -> dict[str, int]:
    return {"prompt_tokens": 12, "completion_tokens": len(WORDS), "total_tokens": 12 + len(WORDS)}


def _event(data: dict[str, Any]) -> bytes:
    return f"data: {json.dumps(data)}\n\n".encode()
