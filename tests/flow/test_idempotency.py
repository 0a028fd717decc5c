"""Tests that one Idempotency-Key causes one paid call, for concurrent and later repeats, crashes and restarts."""

from __future__ import annotations

import concurrent.futures
import json
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

import pytest

from tests.fixtures.gateway import GatewayProcess

pytestmark = [pytest.mark.flow, pytest.mark.timeout(240)]

WORDS = "answer number"


class NumberingProvider(ThreadingHTTPServer):
    """A provider that counts its calls and gives a different answer to each."""

    daemon_threads = True

    def __init__(self) -> None:
        super().__init__(("127.0.0.1", 0), _Handler)
        self.calls = 0
        self.lock = threading.Lock()


class _Handler(BaseHTTPRequestHandler):
    server: NumberingProvider

    def do_POST(self) -> None:
        request = json.loads(self.rfile.read(int(self.headers["content-length"])))
        with self.server.lock:
            self.server.calls += 1
            number = self.server.calls
        head = {"id": f"paid-{number}", "created": 1, "model": "m"}
        body = (
            self._stream(head, f"{WORDS} {number}") if request.get("stream") else self._whole(head, f"{WORDS} {number}")
        )
        self.send_response(200)
        self.send_header("content-type", "text/event-stream" if request.get("stream") else "application/json")
        self.send_header("content-length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def _whole(self, head: dict[str, Any], text: str) -> bytes:
        message = {"role": "assistant", "content": text}
        choices = [{"index": 0, "message": message, "finish_reason": "stop"}]
        return json.dumps({**head, "object": "chat.completion", "choices": choices, "usage": USAGE}).encode()

    def _stream(self, head: dict[str, Any], text: str) -> bytes:
        deltas: list[dict[str, str]] = [{"role": "assistant", "content": ""}, {"content": text}, {}]
        chunks = [
            {**head, "choices": [{"index": 0, "delta": delta, "finish_reason": None if delta else "stop"}]}
            for delta in deltas
        ]
        lines = [json.dumps({**chunk, "object": "chat.completion.chunk"}) for chunk in chunks]
        lines.append(json.dumps({**head, "object": "chat.completion.chunk", "choices": [], "usage": USAGE}))
        return "".join(f"data: {line}\n\n" for line in (*lines, "[DONE]")).encode()

    def log_message(self, *_: object) -> None:
        """Write no log."""


USAGE = {"prompt_tokens": 1, "completion_tokens": 4, "total_tokens": 5}


@pytest.fixture(scope="module")
def provider() -> Iterator[NumberingProvider]:
    with NumberingProvider() as server:
        thread = threading.Thread(target=server.serve_forever)
        thread.start()
        yield server
        server.shutdown()
        thread.join()


@pytest.fixture(scope="module")
def gateway(tmp_path_factory: pytest.TempPathFactory, provider: NumberingProvider) -> Iterator[GatewayProcess]:
    """A gateway whose call worker is killed, and which is restarted."""
    kind = {"kind": "openai", "base_url": f"http://127.0.0.1:{provider.server_port}/v1", "api_key": "none-needed"}
    config = {"providers": {"paid": kind}, "models": {"demo": {"targets": ["paid/m"]}}}
    gateway = GatewayProcess(tmp_path_factory.mktemp("idempotency"), config=config).start()
    yield gateway
    assert gateway.stop() == 0


def ask(gateway: GatewayProcess, name: str, text: str = "hello", **more: object) -> tuple[int, bytes]:
    body = {"model": "demo", "messages": [{"role": "user", "content": text}], **more}
    status, _, answer = gateway.post(
        "/v1/chat/completions", json.dumps(body).encode(), [("Idempotency-Key", name), ("X-Request-Timeout", "50")]
    )
    return status, answer


def text_of(stream: bytes) -> str:
    chunks = [json.loads(line[6:]) for line in stream.decode().split("\n") if line.startswith("data: {")]
    return "".join(choice["delta"].get("content") or "" for chunk in chunks for choice in chunk["choices"])


def test_concurrent_repeats_get_one_answer_and_cause_one_call(
    gateway: GatewayProcess, provider: NumberingProvider
) -> None:
    before = provider.calls

    with concurrent.futures.ThreadPoolExecutor(8) as callers:
        answers = set(callers.map(lambda _: ask(gateway, "together"), range(8)))

    assert len(answers) == 1
    assert {status for status, _ in answers} == {200}
    assert provider.calls == before + 1


def test_key_with_another_body_is_refused(gateway: GatewayProcess, provider: NumberingProvider) -> None:
    ask(gateway, "taken", "one question")
    before = provider.calls

    status, answer = ask(gateway, "taken", "another question")

    assert (status, json.loads(answer)["error"]["code"]) == (422, "idempotency_key_reused")
    assert provider.calls == before


def test_stream_is_replayed_as_a_stream_or_as_a_whole(gateway: GatewayProcess, provider: NumberingProvider) -> None:
    _, first = ask(gateway, "streamed", stream=True)
    before = provider.calls

    _, again = ask(gateway, "streamed", stream=True)
    _, whole = ask(gateway, "streamed")

    assert text_of(first).startswith(WORDS)
    assert text_of(again) == text_of(first)
    assert json.loads(whole)["choices"][0]["message"]["content"] == text_of(first)
    assert again.endswith(b"data: [DONE]\n\n")
    assert provider.calls == before


def test_repeat_after_a_crash_or_a_restart_causes_no_second_call(
    gateway: GatewayProcess, provider: NumberingProvider
) -> None:
    first = ask(gateway, "kept")
    before = provider.calls

    gateway.kill("call")
    after_crash = ask(gateway, "kept")
    assert gateway.stop() == 0
    gateway.start()
    after_restart = ask(gateway, "kept")

    assert first == after_crash == after_restart
    assert provider.calls == before
    (row,) = gateway.until_rows("SELECT count() AS n FROM requests WHERE idempotency_key = 'kept'")
    assert int(row["n"]) == 1
