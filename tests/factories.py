"""Factories of events and records for tests."""

from __future__ import annotations

import time
import uuid
from typing import Any

import orjson

from schemas.avro.codec import decode, encode
from schemas.events.catalog import Event, RequestAdmitted, RequestRouted
from schemas.events.parts import Plan, ReplyTo, Request, Target
from schemas.kafka.records import ConsumerRecord, ProducerRecord


def now_ms() -> int:
    return int(time.time() * 1000)


def make_request(**changes: Any) -> Request:
    now = now_ms()
    fields: dict[str, Any] = {
        "request_id": str(uuid.uuid4()),
        "tenant": "default",
        "operation": "chat",
        "source": "http",
        "received_at": now,
        "deadline_at": now + 30_000,
        "traceparent": "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01",
        "reply_to": ReplyTo(topic="llm.replies.tests"),
    }
    return Request(**{**fields, **changes})


def chat(model: str = "demo", text: str = "hello", **more: Any) -> str:
    return orjson.dumps({"model": model, "messages": [{"role": "user", "content": text}], **more}).decode()


def admitted(model: str = "demo", body: str | None = None, **request: Any) -> RequestAdmitted:
    return RequestAdmitted(
        request=make_request(**request),
        model=model,
        body=chat(model) if body is None else body,
        labels={"team": "tests"},
        admitted_at=now_ms(),
        config_hash="filtered",
    )


def routed(*targets: str, body: str | None = None, timeout_ms: int = 10_000, **more: Any) -> RequestRouted:
    """Return a routed request; ``more`` sets fields of the plan or of the request."""
    plan = {name: more.pop(name) for name in ("max_attempts", "on_in_doubt", "policy") if name in more}
    split = [target.partition("/") for target in targets or ("sim/echo",)]
    return RequestRouted(
        request=make_request(**more),
        model="demo",
        body=chat() if body is None else body,
        labels={"team": "tests"},
        plan=Plan(
            alias="demo",
            targets=tuple(Target(provider=p, model=m, timeout_ms=timeout_ms) for p, _, m in split),
            max_attempts=plan.pop("max_attempts", 3),
            **plan,
        ),
        admitted_at=now_ms(),
        routed_at=now_ms(),
        config_hash="routed",
    )


def record(event: Event, topic: str = "llm.routed.v1", partition: int = 3, offset: int = 7) -> ConsumerRecord:
    return ConsumerRecord(topic, partition, offset, now_ms(), None, encode(event), ())


def read(*outputs: ProducerRecord) -> list[Any]:
    """Decode the events of these records."""
    return [decode(output.value or b"") for output in outputs]
