"""Callers as they are in life: over HTTP, whole and streamed, some of whom hang up; and services on Kafka."""

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

Way = Literal["http", "stream", "leaving", "kafka", "hot"]
REPLIES = Topic("llm.replies.chaos", (), HOUR, 4)
TOPICS = {"kafka": ("llm.requests.v1", "default"), "hot": ("llm.requests.hot.v1", "hot")}
"""Where each kind of service asks, and as which tenant."""
PATIENCE_S = 60.0
"""How long a caller lets a request take."""
AGAIN_S = 0.3
LEAVES_WITHIN_S = 0.4


@dataclass(slots=True)
class Ask:
    """One request, and what its caller was told."""

    name: str
    way: Way
    model: str
    sent_at: float
    tenant: str = "default"
    padding: int = 0
    """Characters of prompt more than it needs."""
    accepted: bool = False
    """Its caller knows that it is on the log."""
    status: int | None = None
    """The HTTP status, or the one in a reply's header; None: there was no answer."""
    code: str = ""
    text: str = ""
    """Of the answer, as its caller put it together."""
    answered_at: float | None = None
    replies: int = 0
    broken: int = 0
    """How often the connection broke, or the gateway asked to be asked again."""

    @property
    def request_id(self) -> str:
        return named_request_id(self.tenant, self.name)

    @property
    def body(self) -> bytes:
        text = f"{'water ' * (self.padding // 6)}Where does it go? [request {self.name}]"
        return json.dumps(
            {
                "model": self.model,
                "messages": [{"role": "user", "content": text}],
                **({"stream": True} if self.way == "stream" else {}),
            }
        ).encode()

    def answer(self, status: int, code: str = "", text: str = "") -> None:
        """Take a reply."""
        self.status, self.code, self.text, self.answered_at = status, code, text, time.time()
        self.replies += 1


class AskAgain(Exception):  # noqa: N818 - an outcome rather than a fault
    """The connection broke, or a door said that it closes: the other one may know."""


class HttpCaller:
    """Asks under an Idempotency-Key, and again at the other door if the connection breaks: so a client should."""

    def __init__(self, doors: Sequence[str], draw: random.Random) -> None:
        self._doors = doors
        self._draw = draw
        self._turn = 0
        timeout = aiohttp.ClientTimeout(total=None, sock_connect=5)
        self._client = aiohttp.ClientSession(timeout=timeout, connector=aiohttp.TCPConnector(limit=0))

    async def close(self) -> None:
        await self._client.close()

    async def call(self, ask: Ask) -> None:
        if ask.way == "leaving":
            await self._leave(ask)
            return
        deadline = time.monotonic() + PATIENCE_S
        while time.monotonic() < deadline:
            try:
                await asyncio.wait_for(self._once(ask), PATIENCE_S + 5)
            except (AskAgain, aiohttp.ClientError, TimeoutError):
                ask.broken += 1
                await asyncio.sleep(AGAIN_S)
            else:
                return

    async def _leave(self, ask: Ask) -> None:
        """Hang up before there can be an answer; nobody knows whether the request was accepted."""
        with contextlib.suppress(AskAgain, aiohttp.ClientError, TimeoutError):
            await asyncio.wait_for(self._once(ask), self._draw.uniform(0.0, LEAVES_WITHIN_S))

    async def _once(self, ask: Ask) -> None:
        self._turn += 1
        url = f"{self._doors[self._turn % len(self._doors)]}/v1/chat/completions"
        headers = {
            "content-type": "application/json",
            "idempotency-key": ask.name,
            "x-request-timeout": str(int(PATIENCE_S)),
        }
        async with self._client.post(url, data=ask.body, headers=headers) as answer:
            # a refusal at the door is under an id of its own
            ask.accepted |= answer.headers.get("x-request-id") == ask.request_id
            if answer.content_type == "text/event-stream":
                ask.answer(answer.status, *await _drained(answer))
                return
            code, text = _read(await answer.read())
        if code in {"restarting", "broker_unavailable"}:
            raise AskAgain(code)
        ask.answer(answer.status, code, text)


def _read(body: bytes) -> tuple[str, str]:
    """The code of the error, if it is one, and the text of the answer, if it is one."""
    document = json.loads(body)
    if error := document.get("error"):
        return str(error["code"]), ""
    return "", str(document["choices"][0]["message"]["content"])


async def _drained(answer: aiohttp.ClientResponse) -> tuple[str, str]:
    """The same of a stream, read to its end.

    Raises:
        AskAgain: it has none.

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
    raise AskAgain("cut")


class KafkaCaller:
    """A service: its requests go out acknowledged, its replies come to a topic of its own."""

    def __init__(self, bootstrap: str) -> None:
        self._bootstrap = bootstrap
        self._waiting: dict[bytes, Ask] = {}
        self._reading: asyncio.Task[None] | None = None
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
        self._reading = asyncio.create_task(self._read())

    async def close(self) -> None:
        if self._reading is not None:
            self._reading.cancel()
            await asyncio.gather(self._reading, return_exceptions=True)
        for client in (self._producer, self._consumer):
            if client is not None:
                await client.stop()

    async def call(self, ask: Ask) -> None:
        """Send it; the reply is taken where it comes in."""
        assert self._producer is not None
        topic, _ = TOPICS[ask.way]
        correlation = ask.name.encode()
        self._waiting[correlation] = ask
        headers = [
            ("request_id", ask.name.encode()),
            ("reply-topic", REPLIES.name.encode()),
            ("correlation-id", correlation),
            ("deadline-ms", str(int(PATIENCE_S * 1000)).encode()),
        ]
        try:
            await self._producer.send_and_wait(topic, ask.body, key=correlation, headers=headers)
        except KafkaError:
            ask.broken += 1  # it may be on the log all the same: the ledger looks
        else:
            ask.accepted = True

    async def _read(self) -> None:
        assert self._consumer is not None
        while True:
            try:
                record = await self._consumer.getone()
            except KafkaError:
                await asyncio.sleep(AGAIN_S)
                continue
            said = {name: (value or b"").decode() for name, value in record.headers}
            if ask := self._waiting.get(said.get("correlation-id", "").encode()):
                ask.answer(int(said["sluice-status"]), *_read(record.value))
