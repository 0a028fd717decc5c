"""What a provider is to the call stage: one method that answers, or raises one of a dozen kinds of error."""

from __future__ import annotations

from collections.abc import AsyncIterator
from typing import ClassVar, Protocol

from connectors.providers.resilience import RateState
from connectors.providers.settings import ProviderSettings
from schemas.codegen.frozen_dataclass import frozen_slots
from schemas.events.parts import Change, Usage
from schemas.events.vocabulary import ErrorType, OnOversize, Operation
from schemas.json_types import JsonObject

RETRYABLE: frozenset[ErrorType] = frozenset({"rate_limited", "capacity", "timeout", "server", "network"})
"""Worth another try at the same target."""

FALLBACK: frozenset[ErrorType] = RETRYABLE | {
    "quota_exhausted",
    "auth",
    "not_found",
    "context_length",
    "request_too_large",
}
"""Worth a try at the next target of the plan."""


@frozen_slots
class ProviderCall:
    """One call to make: an OpenAI-shaped body for a model of the provider's own naming."""

    request_id: str
    operation: Operation
    model: str
    body: JsonObject
    timeout_s: float
    stream: bool = False
    """Whether the answer is wanted in chunks, as it comes."""
    on_oversize: OnOversize = "split"
    """For whoever stands before the provider and keeps to its limits."""


@frozen_slots
class ProviderAnswer:
    """What came back, in OpenAI's shape, with what the record keeps beside it."""

    body: JsonObject
    """Vectors in it stand as the provider gives them: numbers, or base64. The record packs them all."""
    http_status: int
    usage: Usage
    response_id: str = ""
    response_model: str = ""
    finish_reasons: tuple[str, ...] = ()
    """The provider's own words."""
    native_usage: JsonObject | None = None
    """The provider's own usage object, untouched."""
    sent: bytes = b""
    """The body that went out, if it was translated."""
    changes: tuple[Change, ...] = ()
    """What was translated or left out."""
    rates: RateState | None = None
    """What the provider said of its rate limits."""
    key_index: int | None = None
    """Which of several keys was used, from 0."""


class ProviderError(Exception):
    """The provider did not answer. ``error_type`` alone decides what happens next."""

    def __init__(
        self,
        error_type: ErrorType,
        message: str,
        *,
        http_status: int | None = None,
        retry_after_s: float | None = None,
        param: str | None = None,
    ) -> None:
        super().__init__(message)
        self.error_type = error_type
        self.message = message
        """For people. Never holds a key."""
        self.http_status = http_status
        """None if no response came."""
        self.retry_after_s = retry_after_s
        """The provider's own hint, in seconds."""
        self.param = param
        """The parameter of the caller's request that is at fault, by OpenAI's name."""
        self.partial: JsonObject | None = None
        """What had come of a stream before it broke off, as a completion."""
        self.usage = Usage()
        """What is to be paid all the same."""
        self.sent: bytes = b""
        """The body that went out, if it was translated."""
        self.changes: tuple[Change, ...] = ()
        """What of it was translated or left out."""
        self.rates: RateState | None = None
        """What the provider said of its rate limits."""
        self.key_index: int | None = None
        """Which of several keys was used, from 0."""
        self.retry_with_other_key = False
        """The key was refused, and another one is there: worth another try at once."""


class Provider(Protocol):
    """One configured provider. Made once per worker; used by hundreds of calls at once."""

    Settings: ClassVar[type[ProviderSettings]]

    def __init__(self, name: str, settings: ProviderSettings) -> None: ...

    async def complete(self, call: ProviderCall) -> ProviderAnswer:
        """Make the call once: no retry in here, the call stage is the one retry owner.

        Raises:
            ProviderError: it did not answer; never anything else that a provider or the network can cause.

        """
        ...

    def stream(self, call: ProviderCall) -> AsyncIterator[JsonObject | ProviderAnswer]:
        """Make the call once and hand on OpenAI's chunks as they come; the last item is the whole answer.

        Raises:
            ProviderError: as ``complete``, also in the middle of the stream.

        """
        ...

    async def close(self) -> None:
        """Give back the connections."""
        ...
