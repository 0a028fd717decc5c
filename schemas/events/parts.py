"""Moved out of schemas/events/catalog.py."""

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
    """Where a caller waits: the topic, the partition if it named one, and what must come back as it was sent."""

    topic: str
    partition: int | None = None
    key: bytes | None = None
    correlation: tuple[Header, ...] = ()


@frozen_slots(kw_only=True)
class Request(Part):
    """Who asked, when, until when, and where the reply goes. The same in every event of a request."""

    request_id: str
    """A UUID: see ``schemas.events.request_id``."""
    tenant: str
    key_id: str = ""
    """The id of the key that was shown; empty for Kafka callers and in open mode."""
    operation: Operation
    source: Literal["http", "kafka"]
    received_at: Millis
    deadline_at: Millis
    """After this nobody waits: the request is settled as expired and no provider is called."""
    idempotency_key: str = ""
    """What the caller named the request, if it did."""
    traceparent: str = ""
    reply_to: ReplyTo | None = None
    stream_topic: str = ""
    """Where the answer goes in chunks before the reply, with the reply's correlation; empty if it is wanted whole."""
    lane: Lane = "interactive"


@frozen_slots(kw_only=True)
class PolicyAction(Part):
    """What a rule did to a request. Never the text that it matched."""

    rule: str
    """For example ``pii.CREDIT_CARD`` or ``deny.no-weapons``."""
    action: Literal["allow", "mask", "block"]
    count: int = 1


@frozen_slots(kw_only=True)
class Target(Part):
    """One provider to try, with its own name for the model."""

    provider: str
    model: str
    timeout_ms: int


@frozen_slots(kw_only=True)
class Plan(Part):
    """All that the call stage needs to know: the targets in order, and how often to try."""

    alias: str
    """The model name that the caller used."""
    targets: tuple[Target, ...]
    max_attempts: int
    """Per target, retries included."""
    on_in_doubt: Literal["retry", "fail"] = "retry"
    """What to do with a call that a crash may have left running at the provider."""
    on_oversize: OnOversize = "split"
    policy: RoutePolicy = "ordered"
    """With ``latency`` the call stage puts the targets in order, since it knows how they fare."""


@frozen_slots(kw_only=True)
class Usage(Part):
    """Tokens, counted inclusively: input holds the cached ones, output the reasoning."""

    input_tokens: int = 0
    output_tokens: int = 0
    cache_read_input_tokens: int = 0
    cache_creation_input_tokens: int = 0
    reasoning_output_tokens: int = 0


@frozen_slots(kw_only=True)
class Failure(Part):
    """Why there is no answer, in the words of OpenAI's error object, with the HTTP status that fits."""

    status: int
    type: str
    """For example ``invalid_request_error``."""
    code: str
    """Ours, stable: for example ``model_not_found``, ``policy_violation``, or an ``ErrorType``."""
    message: str
    param: str | None = None
    retry_after_ms: int | None = None
    """When trying again makes sense, if anybody said so."""


@frozen_slots(kw_only=True)
class Change(Part):
    """How a request as sent differs from the request as asked."""

    param: str
    action: Literal["renamed", "transformed", "dropped"]
    detail: str = ""
    """The provider's name for it, or why it was dropped. Never the value."""
