"""The facts on the log, one frozen class each.

A request travels as ``Request`` inside every event: written once at the door, never changed on the way.
Times are milliseconds since the Unix epoch, durations milliseconds, money US dollars as decimal text.
A field added later has a default, so that every version can read every other (FULL_TRANSITIVE).
"""

from __future__ import annotations

from typing import Annotated, ClassVar, Literal

from pydantic import BaseModel, ConfigDict

from schemas.trusted import trusted

Millis = Annotated[int, "timestamp-millis"]
"""A point in time: milliseconds since the Unix epoch, UTC. Avro's logical type of the same name."""

Operation = Literal["chat", "embeddings"]
"""OpenTelemetry's gen_ai.operation.name."""

Outcome = Literal["answered", "refused", "failed", "expired"]
"""How a request ends. Refused: by us, before any provider was asked. Failed: by every provider asked."""

Lane = Literal["interactive", "batch"]
"""Which way a request takes. Interactive: somebody waits. Batch: many at once, behind all who wait."""

ErrorType = Literal[
    "rate_limited",
    "capacity",
    "quota_exhausted",
    "context_length",
    "request_too_large",
    "answer_too_large",
    "content_filter",
    "invalid_request",
    "auth",
    "not_found",
    "timeout",
    "server",
    "network",
]
"""The classes of a provider's errors; only these decide retry and fallback."""

TargetState = Literal["closed", "open", "half_open"]
"""Of a circuit breaker. Closed: calls go through. Open: none do. Half open: a few do, to find out."""

RoutePolicy = Literal["ordered", "weighted", "latency"]
"""How targets come into their order: as written, drawn by weight, or by who would answer soonest at the call."""

OnOversize = Literal["split", "reject"]
"""What to do with an embeddings request that is too much for one call of a provider."""


class Part(BaseModel):
    """What stands in an event."""

    model_config = ConfigDict(frozen=True, extra="forbid")


class Event(Part):
    """A fact on the log. ``number`` is its place in the schema ids: id = 100 x number + version."""

    number: ClassVar[int]
    version: ClassVar[int] = 1


@trusted
class Header(Part):
    """A Kafka header, its bytes untouched."""

    name: str
    value: bytes


@trusted
class ReplyTo(Part):
    """Where a caller waits: the topic, the partition if it named one, and what must come back as it was sent."""

    topic: str
    partition: int | None = None
    key: bytes | None = None
    correlation: tuple[Header, ...] = ()


@trusted
class Request(Part):
    """Who asked, when, until when, and where the reply goes. The same in every event of a request."""

    request_id: str
    """A UUID: see ``schemas.identity``."""
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


class PolicyAction(Part):
    """What a rule did to a request. Never the text that it matched."""

    rule: str
    """For example ``pii.CREDIT_CARD`` or ``deny.no-weapons``."""
    action: Literal["allow", "mask", "block"]
    count: int = 1


class Target(Part):
    """One provider to try, with its own name for the model."""

    provider: str
    model: str
    timeout_ms: int


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


class Usage(Part):
    """Tokens, counted inclusively: input holds the cached ones, output the reasoning."""

    input_tokens: int = 0
    output_tokens: int = 0
    cache_read_input_tokens: int = 0
    cache_creation_input_tokens: int = 0
    reasoning_output_tokens: int = 0


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


@trusted
class RequestReceived(Event):
    """A request came in. Only the filter reads this topic: its body may hold personal data."""

    number: ClassVar[int] = 1
    request: Request
    body: bytes
    """As the caller sent it: not yet known to be text."""


@trusted
class RequestAdmitted(Event):
    """The request is allowed, and its body now holds only what may be kept."""

    number: ClassVar[int] = 2
    request: Request
    model: str
    body: str
    labels: dict[str, str] = {}
    """OpenAI's ``metadata``: the caller's own labels."""
    actions: tuple[PolicyAction, ...] = ()
    admitted_at: Millis
    config_hash: str


@trusted
class RequestRouted(Event):
    """The plan is made."""

    number: ClassVar[int] = 3
    request: Request
    model: str
    body: str
    labels: dict[str, str] = {}
    actions: tuple[PolicyAction, ...] = ()
    plan: Plan
    admitted_at: Millis
    routed_at: Millis
    config_hash: str


class Change(Part):
    """How a request as sent differs from the request as asked."""

    param: str
    action: Literal["renamed", "transformed", "dropped"]
    detail: str = ""
    """The provider's name for it, or why it was dropped. Never the value."""


@trusted
class AttemptStarted(Event):
    """A provider is about to be called. On the log before the first byte goes out."""

    number: ClassVar[int] = 4
    request: Request
    attempt: int
    """Counts from 1 over the whole request."""
    provider: str
    model: str
    worker: str
    started_at: Millis
    expires_at: Millis
    """By then the call has ended, whatever became of its worker."""
    waited_ms: int = 0
    """For its turn at the provider: for room, or for what the rate limits allow."""
    in_flight_limit: int = 0
    """How many calls at once this worker allowed the target then."""


class AttemptFinished(Event):
    """The provider answered, or did not. Holds the answer, so that nobody need pay for it again."""

    number: ClassVar[int] = 5
    request: Request
    attempt: int
    provider: str
    model: str
    worker: str
    started_at: Millis
    finished_at: Millis
    error_type: ErrorType | None = None
    http_status: int | None = None
    error_message: str = ""
    error_param: str | None = None
    """The caller's parameter that is at fault; then no provider was called, if there is no status either."""
    retry_after_ms: int | None = None
    response_id: str = ""
    response_model: str = ""
    finish_reasons: tuple[str, ...] = ()
    """The provider's own words."""
    usage: Usage = Usage()
    cost_usd: str | None = None
    """None: the price is not known, which is not the same as free."""
    body: str = ""
    """The answer in OpenAI's shape; empty if there was none. With an error, what a stream had brought before it."""
    sent: str = ""
    """The body as it went to the provider; empty if it is the routed one but for the model's name."""
    changes: tuple[Change, ...] = ()
    native_usage: str = ""
    """The provider's own usage object, as JSON."""
    key_index: int | None = None
    """Which of several keys of the provider was used, from 0."""
    another_key: bool = False
    """The key was refused, and another one was there: worth another try at once."""


@trusted
class RequestSettled(Event):
    """The one end of a request, with all that its row needs."""

    number: ClassVar[int] = 6
    request: Request
    outcome: Outcome
    failure: Failure | None = None
    """None exactly when answered."""
    model: str = ""
    input: str = ""
    """The admitted body; empty when the filter refused it."""
    output: str = ""
    """The answer in OpenAI's shape; empty unless answered."""
    labels: dict[str, str] = {}
    actions: tuple[PolicyAction, ...] = ()
    provider: str = ""
    provider_model: str = ""
    response_id: str = ""
    response_model: str = ""
    finish_reasons: tuple[str, ...] = ()
    usage: Usage = Usage()
    cost_usd: str | None = None
    attempts: int = 0
    admitted_at: Millis | None = None
    routed_at: Millis | None = None
    called_at: Millis | None = None
    answered_at: Millis | None = None
    settled_at: Millis
    replayed: bool = False
    """A repeat of a request that had its end already: replied to again, counted once."""
    config_hash: str = ""


class FeedbackGiven(Event):
    """Somebody judged an answer."""

    number: ClassVar[int] = 7
    request_id: str
    tenant: str
    label: str = ""
    score: float | None = None
    comment: str = ""
    given_at: Millis


class ConfigurationApplied(Event):
    """The configuration behind a ``config_hash``, without its secrets."""

    number: ClassVar[int] = 8
    config_hash: str
    configuration: str
    """JSON."""
    applied_at: Millis


class TargetStateChanged(Event):
    """A worker leaves a target alone from now on, tries it out, or calls it again as usual."""

    number: ClassVar[int] = 9
    provider: str
    model: str
    state: TargetState
    reason: str
    """An ``ErrorType`` if it opened; else ``probing`` or ``recovered``."""
    failure_ratio: float
    """From 0 to 1, over the window before it opened; 0 in the other states."""
    cooldown_ms: int = 0
    """How long nobody is let through; 0 unless open."""
    worker: str
    changed_at: Millis


class AttemptWithdrawn(Event):
    """No provider was called after all: the request went to another worker before. Its number is free again."""

    number: ClassVar[int] = 10
    request: Request
    attempt: int
    provider: str
    model: str
    worker: str
    withdrawn_at: Millis


EVENTS: tuple[type[Event], ...] = (
    RequestReceived,
    RequestAdmitted,
    RequestRouted,
    AttemptStarted,
    AttemptFinished,
    RequestSettled,
    FeedbackGiven,
    ConfigurationApplied,
    TargetStateChanged,
    AttemptWithdrawn,
)
