"""Callers over HTTP (whole, streamed, and some that disconnect) and services on Kafka."""

from __future__ import annotations

import asyncio
import contextlib
import json
import random
import time
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

import aiohttp
from aiokafka import AIOKafkaConsumer, AIOKafkaProducer, TopicPartition
from aiokafka.errors import KafkaError

from schemas.events.request_id import named_request_id
from schemas.kafka.topics import HOUR, Topic

CallerKind = Literal["http", "stream", "disconnecting", "kafka", "hot"]
REPLIES = Topic("llm.replies.chaos", (), HOUR, 4)
TOPICS = {"kafka": ("llm.requests.v1", "default"), "hot": ("llm.requests.hot.v1", "hot")}
"""Request topic and tenant of each kind of service."""
TIMEOUT_S = 60.0
"""Timeout of each request."""
RETRY_DELAY_S = 0.3
DISCONNECT_WITHIN_S = 0.4


@dataclass(slots=True)
class SentRequest:
    """One request, and the reply that its caller got."""

    name: str
    kind: CallerKind
    model: str
    sent_at: float
    tenant: str = "default"
    padding_chars: int = 0
    """Extra characters of the prompt."""
    accepted: bool = False
    """Set once its caller knows that it is on the log."""
    status: int | None = None
    """HTTP status, or the status in the reply's header; None without a reply."""
    code: str = ""
    text: str = ""
    """Text of the answer, assembled by its caller."""
    answered_at: float | None = None
    replies: int = 0
    retries: int = 0
    """Broken connections, and answers that ask for a retry."""

    @property
    def request_id(self) -> str:
        return named_request_id(self.tenant, self.name)

    @property
    def body(self) -> bytes:
        text = f"{'water ' * (self.padding_chars // 6)}Where does it go? [request {self.name}]"
        return json.dumps(
            {
                "model": self.model,
                "messages": [{"role": "user", "content": text}],
                **({"stream": True} if self.kind == "stream" else {}),
            }
        ).encode()

    def record_reply(self, status: int, code: str = "", text: str = "") -> None:
        """Store a reply."""
        self.status, self.code, self.text, self.answered_at = status, code, text, time.time()
        self.replies += 1


class RetryableError(Exception):
    """The connection broke, or an ingress is stopping: the other ingress may have the answer."""


class HttpCaller:
    """Sends requests with an Idempotency-Key, and retries at the other ingress if the connection breaks."""

    def __init__(self, base_urls: Sequence[str], random_: random.Random) -> None:
        self._base_urls = base_urls
        self._random = random_
        self._attempts = 0
        timeout = aiohttp.ClientTimeout(total=None, sock_connect=5)
        self._client = aiohttp.ClientSession(timeout=timeout, connector=aiohttp.TCPConnector(limit=0))

    async def close(self) -> None:
        await self._client.close()

    async def call(self, request: SentRequest) -> None:
        if request.kind == "disconnecting":
            await self._disconnect_early(request)
            return
        deadline = time.monotonic() + TIMEOUT_S
        while time.monotonic() < deadline:
            try:
                await asyncio.wait_for(self._attempt(request), TIMEOUT_S + 5)
            except (RetryableError, aiohttp.ClientError, TimeoutError):
                request.retries += 1
                await asyncio.sleep(RETRY_DELAY_S)
            else:
                return

    async def _disconnect_early(self, request: SentRequest) -> None:
        """Disconnect before an answer can exist; the caller does not learn whether the request was accepted."""
        with contextlib.suppress(RetryableError, aiohttp.ClientError, TimeoutError):
            await asyncio.wait_for(self._attempt(request), self._random.uniform(0.0, DISCONNECT_WITHIN_S))

    async def _attempt(self, request: SentRequest) -> None:
        self._attempts += 1
        url = f"{self._base_urls[self._attempts % len(self._base_urls)]}/v1/chat/completions"
        headers = {
            "content-type": "application/json",
            "idempotency-key": request.name,
            "x-request-timeout": str(int(TIMEOUT_S)),
        }
        async with self._client.post(url, data=request.body, headers=headers) as answer:
            # a request that the ingress rejects has another id
            request.accepted |= answer.headers.get("x-request-id") == request.request_id
            if answer.content_type == "text/event-stream":
                request.record_reply(answer.status, *await _read_stream(answer))
                return
            code, text = _parse_response(await answer.read())
        if code in {"restarting", "broker_unavailable"}:
            raise RetryableError(code)
        request.record_reply(answer.status, code, text)


def _parse_response(body: bytes) -> tuple[str, str]:
    """Return the error's code and the answer's text; either may be empty."""
    document = json.loads(body)
    if error := document.get("error"):
        return str(error["code"]), ""
    return "", str(document["choices"][0]["message"]["content"])


async def _read_stream(answer: aiohttp.ClientResponse) -> tuple[str, str]:
    """Read a stream to its end; return the error's code and the answer's text.

    Raises:
        RetryableError: the stream breaks off.

    """
    text = ""
    async for line in answer.content:
        data = line.decode().removeprefix("data:").strip()
        if data == "[DONE]":
            return "", text
        if not data.startswith("{"):
            continue
        chunk = json.loads(data)
        if error := chunk.get("error"):
            return str(error["code"]), text
        text += "".join(choice["delta"].get("content") or "" for choice in chunk["choices"])
    raise RetryableError("cut")


class KafkaCaller:
    """A service on Kafka: sends with acknowledgement, and reads replies from its own topic."""

    def __init__(self, bootstrap: str) -> None:
        self._bootstrap = bootstrap
        self._pending: dict[bytes, SentRequest] = {}
        self._reader_task: asyncio.Task[None] | None = None
        self._producer: AIOKafkaProducer | None = None
        self._consumer: AIOKafkaConsumer | None = None

    async def start(self) -> None:
        self._producer = AIOKafkaProducer(
            bootstrap_servers=self._bootstrap, acks="all", enable_idempotence=True, request_timeout_ms=10_000
        )
        self._consumer = AIOKafkaConsumer(bootstrap_servers=self._bootstrap, request_timeout_ms=10_000)
        await self._producer.start()
        await self._consumer.start()
        self._consumer.assign([TopicPartition(REPLIES.name, partition) for partition in range(REPLIES.partitions)])
        await self._consumer.seek_to_beginning()
        self._reader_task = asyncio.create_task(self._consume_replies())

    async def close(self) -> None:
        if self._reader_task is not None:
            self._reader_task.cancel()
            await asyncio.gather(self._reader_task, return_exceptions=True)
        for client in (self._producer, self._consumer):
            if client is not None:
                await client.stop()

    async def call(self, request: SentRequest) -> None:
        """Send a request; ``_consume_replies`` stores its reply."""
        assert self._producer is not None
        topic, _ = TOPICS[request.kind]
        correlation = request.name.encode()
        self._pending[correlation] = request
        headers = [
            ("request_id", request.name.encode()),
            ("reply-topic", REPLIES.name.encode()),
            ("correlation-id", correlation),
            ("deadline-ms", str(int(TIMEOUT_S * 1000)).encode()),
        ]
        try:
            await self._producer.send_and_wait(topic, request.body, key=correlation, headers=headers)
        except KafkaError:
            request.retries += 1  # it may be on the log nevertheless, which the ledger checks
        else:
            request.accepted = True

    async def _consume_replies(self) -> None:
        assert self._consumer is not None
        while True:
            try:
                record = await self._consumer.getone()
            except KafkaError:
                await asyncio.sleep(RETRY_DELAY_S)
                continue
            headers = {name: (value or b"").decode() for name, value in record.headers}
            if request := self._pending.get(headers.get("correlation-id", "").encode()):
                request.record_reply(int(headers["sluice-status"]), *_parse_response(record.value))
