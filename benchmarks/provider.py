"""Provider double that answers after the time in the model's name: `python -m benchmarks.provider --port 9090`.

It is a separate process with OpenAI's chat completions, and repeats the last message. The model
`echo?latency_ms=10000` answers after 10 s. It prints its base URL, for the configuration of peers.
"""

from __future__ import annotations

import argparse
import asyncio
import contextlib
import functools
import json
import subprocess
import sys
import urllib.request
from collections.abc import Iterator
from dataclasses import dataclass
from typing import cast
from urllib.parse import parse_qs

import httptools
import orjson
import uvloop


class CallCounter:
    """Number of calls in progress, shared by all connections."""

    def __init__(self) -> None:
        self.open = 0


class ProviderConnection(asyncio.Protocol):
    """One connection."""

    def __init__(self, counter: CallCounter) -> None:
        self._counter = counter
        self._parser = httptools.HttpRequestParser(self)
        self._transport: asyncio.Transport | None = None
        self._waiting: asyncio.TimerHandle | None = None
        self._url = self._body = b""

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = cast("asyncio.Transport", transport)  # uvloop's class is not a subclass

    def connection_lost(self, _: Exception | None) -> None:
        self._transport = None
        if self._waiting is not None:
            self._waiting.cancel()
            self._end()

    def data_received(self, data: bytes) -> None:
        try:
            self._parser.feed_data(data)
        except httptools.HttpParserError:
            self._write(400, b"{}")

    def on_url(self, url: bytes) -> None:
        self._url += url

    def on_body(self, body: bytes) -> None:
        self._body += body

    def on_message_complete(self) -> None:
        url, body = self._url, self._body
        self._url = self._body = b""
        if url.endswith(b"/open"):
            self._write(200, orjson.dumps({"open": self._counter.open}))
        elif url.endswith(b"/chat/completions"):
            self._complete(orjson.loads(body))
        else:
            self._write(404, b'{"error":{"message":"only chat completions"}}')

    def _complete(self, body: dict[str, object]) -> None:
        if body.get("stream"):
            self._write(400, b'{"error":{"message":"streaming is not supported"}}')
            return
        delay_s = latency_s(str(body["model"]))
        completion_body = completion(body)
        if not delay_s:
            self._write(200, completion_body)
            return
        self._counter.open += 1
        self._waiting = asyncio.get_running_loop().call_later(delay_s, self._answer_late, completion_body)

    def _answer_late(self, answered: bytes) -> None:
        self._end()
        self._write(200, answered)

    def _end(self) -> None:
        self._waiting = None
        self._counter.open -= 1

    def _write(self, status: int, body: bytes) -> None:
        if self._transport is not None:
            head = b"HTTP/1.1 %d -\r\nContent-Type: application/json\r\nContent-Length: %d\r\n\r\n"
            self._transport.write(head % (status, len(body)) + body)


@functools.lru_cache(maxsize=64)
def latency_s(model: str) -> float:
    """Return the latency in a model's name."""
    return float(parse_qs(model.partition("?")[2]).get("latency_ms", ["0"])[0]) / 1000


def completion(body: dict[str, object]) -> bytes:
    """Return a completion that repeats the last message."""
    messages = body["messages"]
    assert isinstance(messages, list)
    message = {"role": "assistant", "content": messages[-1]["content"], "refusal": None}
    return orjson.dumps(
        {
            "id": "chatcmpl-bench",
            "object": "chat.completion",
            "created": 0,
            "model": body["model"],
            "choices": [{"index": 0, "message": message, "logprobs": None, "finish_reason": "stop"}],
            "usage": {"prompt_tokens": 250, "completion_tokens": 250, "total_tokens": 500},
        }
    )


@dataclass(frozen=True, slots=True)
class ProviderAddress:
    """Address of a running provider double."""

    url: str
    """Base URL, without `/chat/completions`."""

    def count_open(self) -> int:
        """Return the number of calls in progress."""
        with urllib.request.urlopen(f"{self.url}/open", timeout=10) as found:
            return int(json.loads(found.read())["open"])


@contextlib.contextmanager
def run_provider() -> Iterator[ProviderAddress]:
    """Run a provider double as a process on a free port until the block exits."""
    process = subprocess.Popen([sys.executable, "-m", "benchmarks.provider"], stdout=subprocess.PIPE, text=True)
    try:
        assert process.stdout is not None
        yield ProviderAddress(process.stdout.readline().strip())
    finally:
        process.terminate()
        process.wait(10)


async def serve(port: int) -> None:
    """Serve until the process exits; print the base URL when the socket is open."""
    counter = CallCounter()
    server = await asyncio.get_running_loop().create_server(
        lambda: ProviderConnection(counter), "127.0.0.1", port, backlog=4096
    )
    print(f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}/v1", flush=True)
    await server.serve_forever()


if __name__ == "__main__":
    parser = argparse.ArgumentParser(prog="python -m benchmarks.provider", description=__doc__)
    parser.add_argument("--port", type=int, default=0, help="port on loopback; 0 chooses a free one")
    with contextlib.suppress(KeyboardInterrupt):
        uvloop.run(serve(parser.parse_args().port))
