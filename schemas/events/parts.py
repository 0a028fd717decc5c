"""Records inside events: the request, its plan, usage and failures."""

from __future__ import annotations

from dataclasses import Field
from typing import Any, ClassVar, Literal

from schemas.codegen.frozen_dataclass import frozen_slots
from schemas.events.vocabulary import Lane, Millis, OnOversize, Operation, RoutePolicy


class Part:
    """Base class of events and of the records inside them."""

    __slots__ = ()
    __dataclass_fields__: ClassVar[dict[str, Field[Any]]]
    """Set by the decorator of each subclass."""


@frozen_slots(kw_only=True)
class Header(Part):
    """A Kafka header, its bytes untouched."""

    name: str
    value: bytes


@frozen_slots(kw_only=True)
class ReplyTo(Part):
    """Reply address of a caller: topic, optional partition and key, and the headers to echo unchanged."""

    topic: str
    partition: int | None = None
    key: bytes | None = None
    correlation: tuple[Header, ...] = ()


@frozen_slots(kw_only=True)
class Request(Part):
    """Caller, times and reply address of a request. The same in every event of the request."""

    request_id: str
    """A UUID: see ``schemas.events.request_id``."""
    tenant: str
    key_id: str = ""
    """Id of the API key; empty for Kafka callers and if no keys are configured."""
    operation: Operation
    source: Literal["http", "kafka"]
    received_at: Millis
    deadline_at: Millis
    """After this time the request is settled as expired, and no provider is called."""
    idempotency_key: str = ""
    """The caller's own name for the request; empty if it has none."""
    traceparent: str = ""
    reply_to: ReplyTo | None = None
    stream_topic: str = ""
    """Topic of the answer's chunks, which carry the reply's correlation; empty without streaming."""
    lane: Lane = "interactive"


@frozen_slots(kw_only=True)
class PolicyAction(Part):
    """Action of a policy rule on a request, without the text that it matched."""

    rule: str
    """For example ``pii.CREDIT_CARD`` or ``deny.no-weapons``."""
    action: Literal["allow", "mask", "block"]
    count: int = 1


@frozen_slots(kw_only=True)
class Target(Part):
    """Provider to try, with its own name for the model."""

    provider: str
    model: str
    timeout_ms: int


@frozen_slots(kw_only=True)
class Plan(Part):
    """Routing plan for the call stage: the targets in order and the limits of retries."""

    alias: str
    """The model name that the caller used."""
    targets: tuple[Target, ...]
    max_attempts: int
    """Per target, retries included."""
    on_in_doubt: Literal["retry", "fail"] = "retry"
    """Treatment of a call that may still run at the provider after a worker crashed."""
    on_oversize: OnOversize = "split"
    policy: RoutePolicy = "ordered"
    """With ``latency`` the call stage orders the targets, because it knows their current load."""


@frozen_slots(kw_only=True)
class Usage(Part):
    """Token counts. Input includes cached tokens, and output includes reasoning tokens."""

    input_tokens: int = 0
    output_tokens: int = 0
    cache_read_input_tokens: int = 0
    cache_creation_input_tokens: int = 0
    reasoning_output_tokens: int = 0


@frozen_slots(kw_only=True)
class Failure(Part):
    """Error of a request without an answer: the fields of OpenAI's error object, and the HTTP status."""

    status: int
    type: str
    """For example ``invalid_request_error``."""
    code: str
    """Sluice's stable error code, for example ``model_not_found``, ``policy_violation`` or an ``ErrorType``."""
    message: str
    param: str | None = None
    retry_after_ms: int | None = None
    """Delay before a retry in milliseconds, if it is known."""


@frozen_slots(kw_only=True)
class Change(Part):
    """Difference between the caller's request and the request sent to the provider."""

    param: str
    action: Literal["renamed", "transformed", "dropped"]
    detail: str = ""
    """The provider's name for the parameter, or the reason for dropping it. Never the value."""
