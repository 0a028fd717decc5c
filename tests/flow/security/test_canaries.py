"""Sends secrets through every interface, and checks that none is stored, returned or logged."""

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


class EchoingProvider(http.server.BaseHTTPRequestHandler):
    """A provider that returns all request headers, in a different way in each mode."""

    def do_POST(self) -> None:
        body = json.loads(self.rfile.read(int(self.headers["content-length"])))
        headers = json.dumps(dict(self.headers))
        key = self.headers.get("authorization", "").removeprefix("Bearer ")
        mode = self.path.split("/")[1]
        if mode == "refusing":
            self.answer(401, {"error": {"message": f"Incorrect API key provided: {key}. {headers}", "code": headers}})
        elif mode == "hiding":
            hidden = f"{key[:8]}*****{key[-4:]}"
            self.answer(401, {"error": {"message": f"Incorrect API key provided: {hidden}", "type": key}})
        elif mode == "crashing":
            self.answer(500, headers)
        elif mode == "moving":
            self.answer(302, {}, {"location": f"http://127.0.0.1:1/?key={key}"})
        elif body.get("stream"):
            self.stream(headers)
        else:
            self.answer(200, completion("message", headers))

    def answer(self, status: int, body: object, headers: Mapping[str, str] | None = None) -> None:
        content = json.dumps(body).encode()
        self.send_response(status)
        for name, value in {"content-length": str(len(content)), "x-request-id": "1", **(headers or {})}.items():
            self.send_header(name, value)
        self.end_headers()
        self.wfile.write(content)

    def stream(self, text: str) -> None:
        self.send_response(200)
        self.send_header("content-type", "text/event-stream")
        self.end_headers()
        for data in (json.dumps(completion("delta", text)), "[DONE]"):
            self.wfile.write(f"data: {data}\n\n".encode())

    def log_message(self, *_: Any) -> None:
        """Write no log."""


def completion(part: str, text: str) -> dict[str, Any]:
    choice = {"index": 0, "finish_reason": "stop", part: {"role": "assistant", "content": text}}
    usage = {"prompt_tokens": 1, "completion_tokens": 1, "total_tokens": 2, "note": text}
    return {"id": text, "object": "chat.completion", "created": 1, "model": text, "choices": [choice], "usage": usage}


@pytest.fixture
def provider_url() -> Iterator[str]:
    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), EchoingProvider) as server:
        thread = threading.Thread(target=server.serve_forever)
        thread.start()
        yield f"http://127.0.0.1:{server.server_port}"
        server.shutdown()
        thread.join()


@dataclass(slots=True)
class LoggedGateway(GatewayProcess):
    """A gateway whose log output is kept in a file."""

    log: Path = field(default_factory=Path)

    def popen(self, *arguments: str, **more: str) -> subprocess.Popen[str]:
        command = [sys.executable, "-m", "streams.cli.main", "--log-level", "debug", *arguments]
        with self.log.open("ab") as log:
            return subprocess.Popen(command, env=self.environ | more, stdout=subprocess.PIPE, stderr=log, text=True)


def config(provider_url: str) -> dict[str, Any]:
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
        "base_url": f"{provider_url}/crashing",
    }
    providers = {mode: {**canary, "base_url": f"{provider_url}/{mode}/v1"} for mode in MODES}
    return {
        "providers": {**providers, "aws": aws},
        "models": {name: {"targets": [f"{name}/m"], "max_attempts": 2} for name in (*MODES, "aws")},
        "tenants": {"acme": {}},
        "keys": [{"id": "k1", "tenant": "acme", "hash": hash_key(KEY)}],
    }


@pytest.fixture
def gateway(tmp_path: Path, provider_url: str) -> Iterator[LoggedGateway]:
    gateway = LoggedGateway(tmp_path, config(provider_url), log=tmp_path / "gateway.log")
    gateway.start()
    yield gateway
    assert gateway.process is not None
    if gateway.process.poll() is None:
        gateway.stop()


def ask(gateway: LoggedGateway, path: str, body: object | None, headers: Mapping[str, str]) -> bytes:
    """Send a request; return headers and body."""
    data = None if body is None else json.dumps(body).encode()
    request = urllib.request.Request(f"{gateway.http}{path}", data=data, headers=dict(headers))
    try:
        with urllib.request.urlopen(request, timeout=60) as answer:
            return bytes(answer.headers) + bytes(answer.read())
    except urllib.error.HTTPError as error:
        return bytes(error.headers) + error.read()


def send_through_every_interface(gateway: LoggedGateway) -> Iterator[bytes]:
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


def read_all_records(gateway: LoggedGateway) -> Iterator[bytes]:
    consumer = Consumer({"bootstrap.servers": gateway.kafka, "group.id": "canaries", "enable.partition.eof": True})
    topics = consumer.list_topics(timeout=20).topics
    partitions = [TopicPartition(name, number, 0) for name, topic in topics.items() for number in topic.partitions]
    consumer.assign(partitions)
    finished: set[tuple[str, int]] = set()
    while len(finished) < len(partitions):
        message = consumer.poll(20)
        assert message is not None
        if message.error() is not None:
            finished.add((message.topic() or "", message.partition() or 0))
            continue
        yield b"\n".join((message.key() or b"", message.value() or b"", repr(message.headers()).encode()))
    consumer.close()


def read_all_tables(gateway: LoggedGateway) -> Iterator[bytes]:
    for (table,) in (row.values() for row in gateway.rows("SELECT name FROM system.tables WHERE database = 'sluice'")):
        yield json.dumps(gateway.rows(f"SELECT * FROM `{table}`"), ensure_ascii=False).encode()


def find_leaks(where: str, content: bytes) -> list[str]:
    """Return the canaries in this content, plain or escaped as in JSON."""
    plain = content.replace(rb"\/", b"/")
    return [f"{name} in {where}" for name, canary in CANARIES.items() if canary.encode() in plain]


def test_no_secret_is_stored_returned_or_logged(gateway: LoggedGateway) -> None:
    responses = list(send_through_every_interface(gateway))
    gateway.until_rows("SELECT 1 FROM requests", len(MODES) * 4 + 4 + 4)

    found = [leak for each in responses for leak in find_leaks("a response", each)]
    records = list(read_all_records(gateway))
    found += [leak for each in records for leak in find_leaks("a record", each)]
    tables = list(read_all_tables(gateway))
    found += [leak for each in tables for leak in find_leaks("a table", each)]
    doctor = gateway.run("doctor", "--json")
    found += find_leaks("the doctor's output", (doctor.stdout + doctor.stderr).encode())
    assert gateway.stop() == 0
    found += find_leaks("the log lines", gateway.log.read_bytes())
    for file in (each for each in (gateway.folder / "state").rglob("*") if each.is_file()):
        found += find_leaks(file.name, file.read_bytes())

    assert sorted(set(found)) == []
    assert any(b"***" in each for each in responses), "the provider returned no headers, so the test proves nothing"
    assert any(b"***" in each for each in records)
    assert any(b"***" in each for each in tables)
