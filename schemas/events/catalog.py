"""The facts on the log, one frozen class each.

A request travels as ``Request`` inside every event: written once at the door, never changed on the way.
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
    """A fact on the log. ``number`` is its place in the schema ids: id = 100 x number + version."""

    __slots__ = ()
    number: ClassVar[int]
    version: ClassVar[int] = 1


@frozen_slots(kw_only=True)
class RequestReceived(Event):
    """A request came in. Only the filter reads this topic: its body may hold personal data."""

    number: ClassVar[int] = 1
    request: Request
    body: bytes
    """As the caller sent it: not yet known to be text."""


@frozen_slots(kw_only=True)
class RequestAdmitted(Event):
    """The request is allowed, and its body now holds only what may be kept."""

    number: ClassVar[int] = 2
    request: Request
    model: str
    body: str
    labels: dict[str, str] = field(default_factory=dict)
    """OpenAI's ``metadata``: the caller's own labels."""
    actions: tuple[PolicyAction, ...] = ()
    admitted_at: Millis
    config_hash: str


@frozen_slots(kw_only=True)
class RequestRouted(Event):
    """The plan is made."""

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


@frozen_slots(kw_only=True)
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


@frozen_slots(kw_only=True)
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
    """A repeat of a request that had its end already: replied to again, counted once."""
    config_hash: str = ""


@frozen_slots(kw_only=True)
class FeedbackGiven(Event):
    """Somebody judged an answer."""

    number: ClassVar[int] = 7
    request_id: str
    tenant: str
    label: str = ""
    score: float | None = None
    comment: str = ""
    given_at: Millis


@frozen_slots(kw_only=True)
class ConfigurationApplied(Event):
    """The configuration behind a ``config_hash``, without its secrets."""

    number: ClassVar[int] = 8
    config_hash: str
    configuration: str
    """JSON."""
    applied_at: Millis


@frozen_slots(kw_only=True)
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


@frozen_slots(kw_only=True)
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
