"""Event classes, one for each kind of fact on the log.

Every event of a request contains the same ``Request``, which the ingress or the filter creates and no later stage
changes. Constructors do not validate: values from outside go through pydantic's ``TypeAdapter``.
Times are milliseconds since the Unix epoch, durations milliseconds, money US dollars as decimal text.
A field added later has a default, so that every version can read every other (FULL_TRANSITIVE).
"""

from __future__ import annotations

from dataclasses import field
from typing import ClassVar

from schemas.codegen.frozen_dataclass import frozen_slots
from schemas.events.parts import Change, Failure, Part, Plan, PolicyAction, Request, Usage
from schemas.events.vocabulary import ErrorType, Millis, Outcome, TargetState


class Event(Part):
    """Base class of events. ``number`` is part of the schema id: id = 100 x number + version."""

    __slots__ = ()
    number: ClassVar[int]
    version: ClassVar[int] = 1


@frozen_slots(kw_only=True)
class RequestReceived(Event):
    """A request arrived. Only the filter reads the body, because it may contain personal data."""

    number: ClassVar[int] = 1
    request: Request
    body: bytes
    """The body as the caller sent it, not necessarily text."""


@frozen_slots(kw_only=True)
class RequestAdmitted(Event):
    """The filter admitted the request. Its body is masked by the policy."""

    number: ClassVar[int] = 2
    request: Request
    model: str
    body: str
    labels: dict[str, str] = field(default_factory=dict)
    """The caller's labels: ``metadata`` of OpenAI's body."""
    actions: tuple[PolicyAction, ...] = ()
    admitted_at: Millis
    config_hash: str


@frozen_slots(kw_only=True)
class RequestRouted(Event):
    """The route stage planned the request."""

    number: ClassVar[int] = 3
    request: Request
    model: str
    body: str
    labels: dict[str, str] = field(default_factory=dict)
    actions: tuple[PolicyAction, ...] = ()
    plan: Plan
    admitted_at: Millis
    routed_at: Millis
    config_hash: str


@frozen_slots(kw_only=True)
class AttemptStarted(Event):
    """A provider call is about to start. On the log before the first byte is sent."""

    number: ClassVar[int] = 4
    request: Request
    attempt: int
    """Number of the attempt, from 1, over the whole request."""
    provider: str
    model: str
    worker: str
    started_at: Millis
    expires_at: Millis
    """The call has ended by this time, even if its worker crashed."""
    waited_ms: int = 0
    """Milliseconds that the call waited for the provider's concurrency and rate limits."""
    in_flight_limit: int = 0
    """This worker's concurrency limit for the target at the start of the call."""


@frozen_slots(kw_only=True)
class AttemptFinished(Event):
    """A provider call ended. Contains the answer, so that a redelivered request is not paid for twice."""

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
    """The caller's parameter at fault. If ``http_status`` is None as well, no provider was called."""
    retry_after_ms: int | None = None
    response_id: str = ""
    response_model: str = ""
    finish_reasons: tuple[str, ...] = ()
    """The provider's own values."""
    usage: Usage = Usage()
    cost_usd: str | None = None
    """None if the price is unknown, which does not mean free."""
    body: str = ""
    """The answer in OpenAI's format; empty if there is none. With an error: the part of a stream before it."""
    sent: str = ""
    """The body sent to the provider; empty if it is the routed body except for the model's name."""
    changes: tuple[Change, ...] = ()
    native_usage: str = ""
    """The provider's own usage object, as JSON."""
    key_index: int | None = None
    """Index of the provider's API key, from 0, if there are several."""
    another_key: bool = False
    """The provider refused the key and another key is configured, so that a retry may follow at once."""


@frozen_slots(kw_only=True)
class RequestSettled(Event):
    """The outcome of a request, with all fields of its row. A request has one, apart from replays."""

    number: ClassVar[int] = 6
    request: Request
    outcome: Outcome
    failure: Failure | None = None
    """None if and only if the outcome is ``answered``."""
    model: str = ""
    input: str = ""
    """The admitted body; empty if the filter refused the request."""
    output: str = ""
    """The answer in OpenAI's format; empty unless answered."""
    labels: dict[str, str] = field(default_factory=dict)
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
    """True for a repeat of a settled request: it gets a reply, but is counted once."""
    config_hash: str = ""


@frozen_slots(kw_only=True)
class FeedbackGiven(Event):
    """A caller rated an answer."""

    number: ClassVar[int] = 7
    request_id: str
    tenant: str
    label: str = ""
    score: float | None = None
    comment: str = ""
    given_at: Millis


@frozen_slots(kw_only=True)
class ConfigurationApplied(Event):
    """The configuration of a ``config_hash`` was applied. Contains the configuration without its secrets."""

    number: ClassVar[int] = 8
    config_hash: str
    configuration: str
    """JSON."""
    applied_at: Millis


@frozen_slots(kw_only=True)
class TargetStateChanged(Event):
    """The circuit breaker of a target changed its state in one worker."""

    number: ClassVar[int] = 9
    provider: str
    model: str
    state: TargetState
    reason: str
    """An ``ErrorType`` if the breaker opened, else ``probing`` or ``recovered``."""
    failure_ratio: float
    """Failures per call, from 0 to 1, in the window before the breaker opened; 0 in the other states."""
    cooldown_ms: int = 0
    """Milliseconds without calls to the target; 0 unless open."""
    worker: str
    changed_at: Millis


@frozen_slots(kw_only=True)
class AttemptWithdrawn(Event):
    """An announced call did not take place, because the request moved to another worker. Its number may be reused."""

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
