"""Simulated traffic: events on their topics, and the rows that audit builds from them."""

from __future__ import annotations

import itertools
import uuid
from collections import Counter
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field

from connectors.clickhouse import ClickHouseClient
from schemas.avro.codec import encode
from schemas.events.catalog import (
    AttemptFinished,
    AttemptStarted,
    ConfigurationApplied,
    Event,
    FeedbackGiven,
    RequestAdmitted,
    RequestReceived,
    RequestRouted,
    RequestSettled,
    TargetStateChanged,
)
from schemas.events.parts import Failure, Plan, PolicyAction, Request, Target, Usage
from schemas.events.vocabulary import ErrorType, Outcome
from schemas.kafka.headers import Headers, dead_letter_headers
from schemas.kafka.records import ConsumerRecord
from schemas.kafka.topics import Topics
from streams.audit.row_builder import RowBuilder
from streams.audit.tables import EVENTS, REQUESTS

MASKED = (PolicyAction(rule="pii.EMAIL_ADDRESS", action="mask"),)
BLOCKED = (PolicyAction(rule="deny.no-weapons", action="block"),)
TENANTS = ("acme", "globex")
CONFIG = "c0ffee000001"

_numbers = itertools.count(1)


@dataclass
class FakeLog:
    """Topics and their records, in memory."""

    topics: Topics = field(default_factory=lambda: Topics(tenants=TENANTS))
    records: list[ConsumerRecord] = field(default_factory=list)
    _ends: Counter[tuple[str, int]] = field(default_factory=Counter)

    def write(self, topic: str, value: bytes, at: int, partition: int = 0, headers: Headers = ()) -> ConsumerRecord:
        """Append a record at a time in milliseconds."""
        offset = self._ends[topic, partition]
        self._ends[topic, partition] += 1
        self.records.append(ConsumerRecord(topic, partition, offset, at, b"k", value, headers))
        return self.records[-1]

    def dead_letter(self, record: ConsumerRecord, reason: str) -> None:
        """Append a record to its dead-letter topic, one second later."""
        headers = dead_letter_headers(
            record.topic,
            record.partition,
            record.offset,
            record.timestamp_ms,
            record.headers,
            stage="filter",
            group="llm.filter",
            error="DeadLetterError",
            reason=reason,
        )
        self.write(f"{record.topic}-dlt", record.value or b"", record.timestamp_ms + 1000, record.partition, headers)

    def store(self, clickhouse: ClickHouseClient, delay_ms: int = 800) -> None:
        """Insert the rows that audit would build, each ``delay_ms`` after its record."""
        built = RowBuilder(self.topics).build(self.records)
        for table, rows in ((EVENTS, built.events), (REQUESTS, built.requests)):
            ingested_at = [record.timestamp_ms + delay_ms for record in rows.records]
            clickhouse.insert_columns(table.name, [*table.names, "ingested_at"], [*rows.columns, ingested_at])


@dataclass
class SimulatedRequest:
    """Writes the events of one request, step by step."""

    log: FakeLog
    at: int
    """Time of its last event in milliseconds since the epoch."""
    tenant: str = "acme"
    model: str = "chat"
    allowed_ms: int = 30_000
    request: Request = field(init=False)
    actions: tuple[PolicyAction, ...] = ()
    attempts: int = 0
    admitted_at: int | None = None
    routed_at: int | None = None
    called_at: int | None = None
    last: AttemptFinished | None = None

    def __post_init__(self) -> None:
        self.partition = next(_numbers) % self.log.topics.requests.partitions
        self.request = Request(
            request_id=str(uuid.uuid4()),
            tenant=self.tenant,
            key_id=f"{self.tenant}-key",
            operation="chat",
            source="http",
            received_at=self.at,
            deadline_at=self.at + self.allowed_ms,
            traceparent=f"00-{uuid.uuid4().hex}-{'1' * 16}-01",
        )
        self._write(self.log.topics.requests.name, RequestReceived(request=self.request, body=b"{}"))

    def admit(self, actions: tuple[PolicyAction, ...] = ()) -> SimulatedRequest:
        self.at += 3
        self.admitted_at, self.actions = self.at, actions
        event = RequestAdmitted(
            request=self.request, model=self.model, body="{}", actions=actions, admitted_at=self.at, config_hash=CONFIG
        )
        self._write(self.log.topics.admitted.name, event)
        return self

    def route(self, *targets: str) -> SimulatedRequest:
        self.at += 2
        self.routed_at = self.at
        event = RequestRouted(
            request=self.request,
            model=self.model,
            body="{}",
            plan=Plan(
                alias=self.model,
                targets=tuple(Target(provider=target, model="m", timeout_ms=1000) for target in targets),
                max_attempts=2,
            ),
            admitted_at=self.admitted_at or 0,
            routed_at=self.at,
            config_hash=CONFIG,
        )
        self._write(self.log.topics.routed.name, event)
        return self

    def call(
        self, provider: str, took_ms: int = 400, error: ErrorType | None = None, cost: str | None = "0.002"
    ) -> SimulatedRequest:
        self.attempts += 1
        self.at += 4
        self.called_at = self.called_at or self.at
        started = AttemptStarted(
            request=self.request,
            attempt=self.attempts,
            provider=provider,
            model="m",
            worker="w1",
            started_at=self.at,
            expires_at=self.at + 60_000,
        )
        self._write(self.log.topics.attempts.name, started)
        self.at += took_ms
        self.last = AttemptFinished(
            request=self.request,
            attempt=self.attempts,
            provider=provider,
            model="m",
            worker="w1",
            started_at=started.started_at,
            finished_at=self.at,
            error_type=error,
            http_status={"rate_limited": 429, None: 200}.get(error, 503),
            error_message="refused" if error else "",
            usage=Usage() if error else Usage(input_tokens=120, output_tokens=40, cache_read_input_tokens=20),
            cost_usd=None if error else cost,
            body="" if error else "{}",
        )
        self._write(self.log.topics.attempts.name, self.last)
        return self

    def settle(
        self, outcome: Outcome, code: str = "", status: int = 200, *, replayed: bool = False
    ) -> SimulatedRequest:
        self.at += 5
        answered = self.last if outcome == "answered" else None
        event = RequestSettled(
            request=self.request,
            outcome=outcome,
            failure=Failure(status=status, type="error", code=code, message="why") if code else None,
            model=self.model,
            provider=self.last.provider if self.last else "",
            provider_model="m" if self.last else "",
            actions=self.actions,
            usage=answered.usage if answered else Usage(),
            cost_usd=answered.cost_usd if answered else None,
            attempts=self.attempts,
            admitted_at=self.admitted_at,
            routed_at=self.routed_at,
            called_at=self.called_at,
            answered_at=answered.finished_at if answered else None,
            settled_at=self.at,
            replayed=replayed,
            config_hash=CONFIG,
        )
        self._write(self.log.topics.outcomes.name, event)
        return self

    def _write(self, topic: str, event: Event) -> None:
        self.log.write(topic, encode(event), self.at, self.partition)


def simulated_requests(log: FakeLog, times: Iterable[int], **attributes: str) -> Iterator[SimulatedRequest]:
    """Yield one request for each time, from the tenants in turn."""
    for number, at in enumerate(times):
        yield SimulatedRequest(log, at, tenant=TENANTS[number % len(TENANTS)], **attributes)  # type: ignore[arg-type]


def healthy_traffic(now_ms: int) -> FakeLog:
    """Return twelve minutes of answered requests, and one in progress."""
    log = FakeLog()
    for one in simulated_requests(log, range(now_ms - 720_000, now_ms - 2_000, 6_000)):
        one.admit().route("openai").call("openai").settle("answered")
    SimulatedRequest(log, now_ms - 500).admit().route("openai")
    return log


def failing_traffic(now_ms: int) -> FakeLog:
    """Return healthy traffic plus every kind of failure; one provider is down in the last minutes."""
    log = healthy_traffic(now_ms)
    applied = ConfigurationApplied(config_hash=CONFIG, configuration="{}", applied_at=now_ms - 300_000)
    log.write(log.topics.config.name, encode(applied), now_ms - 300_000)
    for one in simulated_requests(log, range(now_ms - 600_000, now_ms - 10_000, 20_000)):
        one.admit(MASKED).route("openai", "local")
        one.call("openai", error="rate_limited").call("openai", error="server").call("local", cost=None)
        one.settle("answered")
    for one in simulated_requests(log, range(now_ms - 150_000, now_ms - 5_000, 5_000), model="fast"):
        one.admit().route("groq").call("groq", error="timeout", took_ms=900).settle("failed", "timeout", 504)
    opened = TargetStateChanged(
        provider="groq",
        model="m",
        state="open",
        reason="timeout",
        failure_ratio=1.0,
        cooldown_ms=5000,
        worker="w1",
        changed_at=now_ms - 50_000,
    )
    log.write(log.topics.health.name, encode(opened), now_ms - 50_000)
    for one in simulated_requests(log, range(now_ms - 500_000, now_ms - 5_000, 50_000)):
        one.actions = BLOCKED
        one.settle("refused", "policy_violation", 403)
        one.settle("refused", "policy_violation", 403, replayed=True)
    for one in simulated_requests(log, range(now_ms - 280_000, now_ms - 5_000, 40_000)):
        one.admit().route("openai").settle("expired", "deadline_exceeded", 504)
    feedback = FeedbackGiven(
        request_id=one.request.request_id, tenant=one.tenant, label="good", given_at=now_ms - 5_000
    )
    log.write(log.topics.feedback.name, encode(feedback), now_ms - 5_000)
    _add_unprocessed(log, now_ms)
    return log


def _add_unprocessed(log: FakeLog, now_ms: int) -> None:
    """Add requests that are past their deadline and unsettled, and records that became dead letters."""
    SimulatedRequest(log, now_ms - 440_000).admit()
    SimulatedRequest(log, now_ms - 400_000, tenant="globex").admit().route("groq").call("groq", error="server")
    for at in (now_ms - 120_000, now_ms - 60_000):
        record = log.write(log.topics.requests.name, b"\0no Avro", at)
        log.dead_letter(record, "the record is not a request")
