"""Secrets through every door, and then a look at all that was stored, said and logged: none of them may be there."""

from __future__ import annotations

import http.server
import json
import subprocess
import sys
import threading
import urllib.error
import urllib.request
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest
from confluent_kafka import Consumer, TopicPartition

from streams.config.api_keys import hash_key
from tests.fixtures.gateway import GatewayProcess

pytestmark = pytest.mark.flow

KEY = "sk-sluice-canary-of-the-caller"
CANARIES = {
    "the caller's key": KEY,
    "a wrong key": "sk-wrong-canary",
    "a key in x-api-key": "sk-other-canary",
    "a password in Basic": "Y2FuYXJ5OmNhbmFyeQ",
    "a key in the query": "sk-query-canary",
    "a cookie": "session-canary",
    "a provider's key": "sk-proj-canary-whole",
    "a provider's second key": "sk-proj-canary-second",
    "a provider's header": "header-canary",
    "AWS's secret": "aws/canary+secret",
    "AWS's session": "aws-session-canary",
}
MODES = ("refusing", "hiding", "echoing", "crashing", "moving")


class Parrot(http.server.BaseHTTPRequestHandler):
    """A provider that tells whoever asks all that it was told, each mode in its own way."""

    def do_POST(self) -> None:
        asked = json.loads(self.rfile.read(int(self.headers["content-length"])))
        said = json.dumps(dict(self.headers))
        key = self.headers.get("authorization", "").removeprefix("Bearer ")
        mode = self.path.split("/")[1]
        if mode == "refusing":
            self.answer(401, {"error": {"message": f"Incorrect API key provided: {key}. {said}", "code": said}})
        elif mode == "hiding":
            hidden = f"{key[:8]}*****{key[-4:]}"
            self.answer(401, {"error": {"message": f"Incorrect API key provided: {hidden}", "type": key}})
        elif mode == "crashing":
            self.answer(500, said)
        elif mode == "moving":
            self.answer(302, {}, {"location": f"http://127.0.0.1:1/?key={key}"})
        elif asked.get("stream"):
            self.stream(said)
        else:
            self.answer(200, completion("message", said))

    def answer(self, status: int, body: object, headers: Mapping[str, str] | None = None) -> None:
        content = json.dumps(body).encode()
        self.send_response(status)
        for name, value in {"content-length": str(len(content)), "x-request-id": "1", **(headers or {})}.items():
            self.send_header(name, value)
        self.end_headers()
        self.wfile.write(content)

    def stream(self, said: str) -> None:
        self.send_response(200)
        self.send_header("content-type", "text/event-stream")
        self.end_headers()
        for data in (json.dumps(completion("delta", said)), "[DONE]"):
            self.wfile.write(f"data: {data}\n\n".encode())

    def log_message(self, *_: Any) -> None:
        """Say nothing."""


def completion(part: str, said: str) -> dict[str, Any]:
    choice = {"index": 0, "finish_reason": "stop", part: {"role": "assistant", "content": said}}
    usage = {"prompt_tokens": 1, "completion_tokens": 1, "total_tokens": 2, "note": said}
    return {"id": said, "object": "chat.completion", "created": 1, "model": said, "choices": [choice], "usage": usage}


@pytest.fixture
def parrot() -> Iterator[str]:
    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), Parrot) as server:
        thread = threading.Thread(target=server.serve_forever)
        thread.start()
        yield f"http://127.0.0.1:{server.server_port}"
        server.shutdown()
        thread.join()


@dataclass(slots=True)
class Overheard(GatewayProcess):
    """A gateway whose every word is kept."""

    words: Path = field(default_factory=Path)

    def popen(self, *arguments: str, **more: str) -> subprocess.Popen[str]:
        command = [sys.executable, "-m", "streams.cli.main", "--log-level", "debug", *arguments]
        with self.words.open("ab") as words:
            return subprocess.Popen(command, env=self.environ | more, stdout=subprocess.PIPE, stderr=words, text=True)


def config(parrot: str) -> dict[str, Any]:
    canary = {
        "kind": "vllm",
        "api_key": CANARIES["a provider's key"],
        "api_keys": [CANARIES["a provider's second key"]],
        "headers": {"x-canary": CANARIES["a provider's header"]},
    }
    aws = {
        "kind": "bedrock",
        "region": "us-east-1",
        "access_key_id": "AKIDEXAMPLE",
        "secret_access_key": CANARIES["AWS's secret"],
        "session_token": CANARIES["AWS's session"],
        "base_url": f"{parrot}/crashing",
    }
    providers = {mode: {**canary, "base_url": f"{parrot}/{mode}/v1"} for mode in MODES}
    return {
        "providers": {**providers, "aws": aws},
        "models": {name: {"targets": [f"{name}/m"], "max_attempts": 2} for name in (*MODES, "aws")},
        "tenants": {"acme": {}},
        "keys": [{"id": "k1", "tenant": "acme", "hash": hash_key(KEY)}],
    }


@pytest.fixture
def overheard(tmp_path: Path, parrot: str) -> Iterator[Overheard]:
    gateway = Overheard(tmp_path, config(parrot), words=tmp_path / "words.log")
    gateway.start()
    yield gateway
    assert gateway.process is not None
    if gateway.process.poll() is None:
        gateway.stop()


def ask(gateway: Overheard, path: str, body: object | None, headers: Mapping[str, str]) -> bytes:
    """Status, headers and body, all in one."""
    data = None if body is None else json.dumps(body).encode()
    request = urllib.request.Request(f"{gateway.http}{path}", data=data, headers=dict(headers))
    try:
        with urllib.request.urlopen(request, timeout=60) as answer:
            return bytes(answer.headers) + bytes(answer.read())
    except urllib.error.HTTPError as error:
        return bytes(error.headers) + error.read()


def through_every_door(gateway: Overheard) -> Iterator[bytes]:
    allowed = {"Authorization": f"Bearer {KEY}", "Cookie": CANARIES["a cookie"], "X-Other": CANARIES["a cookie"]}
    chat = {"messages": [{"role": "user", "content": "hello"}]}
    query = f"/v1/chat/completions?api_key={CANARIES['a key in the query']}"
    for model in (*MODES, "aws"):
        for stream in (False, True):
            yield ask(gateway, query, {"model": model, "stream": stream, **chat}, allowed)
        yield ask(gateway, "/v1/messages", {"model": model, "max_tokens": 9, **chat}, allowed)
        yield ask(gateway, "/v1/embeddings", {"model": model, "input": "a"}, allowed)
    for wrong in (
        {"Authorization": f"Bearer {CANARIES['a wrong key']}"},
        {"Authorization": CANARIES["a wrong key"]},
        {"Authorization": f"Basic {CANARIES['a password in Basic']}"},
        {"x-api-key": CANARIES["a key in x-api-key"]},
    ):
        for path, body in ((query, {"model": "echoing", **chat}), ("/v1/models", None), ("/v1/feedback", {})):
            yield ask(gateway, path, body, {**wrong, "Cookie": CANARIES["a cookie"]})
    yield ask(gateway, "/metrics", None, {})
    yield ask(gateway, "/readyz", None, {})


def everything_on_the_log(gateway: Overheard) -> Iterator[bytes]:
    consumer = Consumer({"bootstrap.servers": gateway.kafka, "group.id": "canaries", "enable.partition.eof": True})
    topics = consumer.list_topics(timeout=20).topics
    places = [TopicPartition(name, number, 0) for name, topic in topics.items() for number in topic.partitions]
    consumer.assign(places)
    ended: set[tuple[str, int]] = set()
    while len(ended) < len(places):
        message = consumer.poll(20)
        assert message is not None
        if message.error() is not None:
            ended.add((message.topic() or "", message.partition() or 0))
            continue
        yield b"\n".join((message.key() or b"", message.value() or b"", repr(message.headers()).encode()))
    consumer.close()


def every_table(gateway: Overheard) -> Iterator[bytes]:
    for (table,) in (row.values() for row in gateway.rows("SELECT name FROM system.tables WHERE database = 'sluice'")):
        yield json.dumps(gateway.rows(f"SELECT * FROM `{table}`"), ensure_ascii=False).encode()


def leaks(where: str, told: bytes) -> list[str]:
    """Which canaries are in there, as they are or in JSON's spelling."""
    plain = told.replace(rb"\/", b"/")
    return [f"{what} in {where}" for what, canary in CANARIES.items() if canary.encode() in plain]


def test_no_secret_is_in_anything_that_was_stored_said_or_logged(overheard: Overheard) -> None:
    said = list(through_every_door(overheard))
    overheard.until_rows("SELECT 1 FROM requests", len(MODES) * 4 + 4 + 4)

    found = [leak for each in said for leak in leaks("a response", each)]
    records = list(everything_on_the_log(overheard))
    found += [leak for each in records for leak in leaks("a record", each)]
    tables = list(every_table(overheard))
    found += [leak for each in tables for leak in leaks("a table", each)]
    doctor = overheard.run("doctor", "--json")
    found += leaks("the doctor's words", (doctor.stdout + doctor.stderr).encode())
    assert overheard.stop() == 0
    found += leaks("the log lines", overheard.words.read_bytes())
    for file in (each for each in (overheard.folder / "state").rglob("*") if each.is_file()):
        found += leaks(file.name, file.read_bytes())

    assert sorted(set(found)) == []
    assert any(b"***" in each for each in said), "the parrot did not speak, so nothing was tried"
    assert any(b"***" in each for each in records)
    assert any(b"***" in each for each in tables)
