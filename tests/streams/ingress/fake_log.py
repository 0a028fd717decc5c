"""An event log in a list: the twin, in this process, of what ``streams.ingress.requests.publisher`` asks of Kafka.

Only for what the ingress itself decides. That the real one behaves so is shown in test_server.py, on a real broker.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable
from dataclasses import dataclass, field

from connectors.kafka import BrokerUnavailableError
from schemas.avro.codec import decode
from schemas.events.catalog import Event, RequestReceived
from schemas.kafka.headers import OUTCOME, REQUEST_ID, SERVED_BY, STATUS
from schemas.kafka.records import ConsumerRecord, ProducerRecord

ANSWER = (
    b'{"id":"chatcmpl-1","object":"chat.completion","created":1,"model":"echo","choices":[{"index":0,'
    b'"finish_reason":"stop","message":{"role":"assistant","content":"hello"}}]}'
)


@dataclass(frozen=True, slots=True)
class StageAnswer:
    """Answer that the stages give."""

    status: int = 200
    outcome: str = "answered"
    body: bytes = ANSWER
    extra: tuple[tuple[str, bytes], ...] = ((SERVED_BY, b"sim/echo"),)


def reply_record(event: RequestReceived, answer: StageAnswer) -> ConsumerRecord:
    """The reply as the reply stage writes it."""
    to = event.request.reply_to
    assert to is not None
    assert to.partition is not None
    return ConsumerRecord(
        topic=to.topic,
        partition=to.partition,
        offset=0,
        timestamp_ms=0,
        key=to.key,
        value=answer.body,
        headers=(
            *((header.name, header.value) for header in to.correlation),
            (REQUEST_ID, event.request.request_id.encode()),
            (STATUS, str(answer.status).encode()),
            (OUTCOME, answer.outcome.encode()),
            *answer.extra,
        ),
    )


@dataclass
class FakeLog:
    """Log that keeps written records and answers requests by a function."""

    answers: Callable[[RequestReceived], StageAnswer | None] = lambda _: StageAnswer()
    """Returns None for a request without an answer."""
    available: bool = True
    written: list[ProducerRecord] = field(default_factory=list)
    replies: asyncio.Queue[list[ConsumerRecord]] = field(default_factory=asyncio.Queue)

    async def send(self, output: ProducerRecord) -> None:
        """Acknowledge at once."""
        if not self.available:
            raise BrokerUnavailableError("Kafka at nowhere does not answer")
        self.written.append(output)
        event = decode(output.value or b"")
        if isinstance(event, RequestReceived) and (answer := self.answers(event)) is not None:
            self.replies.put_nowait([reply_record(event, answer)])

    async def __aiter__(self) -> AsyncIterator[list[ConsumerRecord]]:
        """Yield the records of the reply topic."""
        while True:
            yield await self.replies.get()

    def events(self) -> list[Event]:
        """All that was written."""
        return [decode(output.value or b"") for output in self.written]

    def requests(self) -> list[RequestReceived]:
        """The requests that were accepted."""
        return [event for event in self.events() if isinstance(event, RequestReceived)]
