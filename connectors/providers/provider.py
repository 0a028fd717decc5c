"""Provider protocol of the call stage: its calls, answers and errors."""

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
"""Errors that the call stage retries at the same target."""

FALLBACK: frozenset[ErrorType] = RETRYABLE | {
    "quota_exhausted",
    "auth",
    "not_found",
    "context_length",
    "request_too_large",
}
"""Errors after which the call stage tries the next target of the plan."""


@frozen_slots
class ProviderCall:
    """One call: a body in OpenAI's format for a model, by the provider's own name."""

    request_id: str
    operation: Operation
    model: str
    body: JsonObject
    timeout_s: float
    stream: bool = False
    """True if the answer is streamed."""
    on_oversize: OnOversize = "split"
    """Policy for a request above the provider's limits; applied by the splitting provider, not by the provider."""


@frozen_slots
class ProviderAnswer:
    """An answer in OpenAI's format, with what the audit records about it."""

    body: JsonObject
    """Vectors are numbers or base64, as the provider sends them; the record packs them all."""
    http_status: int
    usage: Usage
    response_id: str = ""
    response_model: str = ""
    finish_reasons: tuple[str, ...] = ()
    """The provider's own finish reasons."""
    native_usage: JsonObject | None = None
    """The provider's own usage object, unchanged."""
    sent: bytes = b""
    """The request body that was sent, if it differs from the caller's."""
    changes: tuple[Change, ...] = ()
    """Translated and dropped parameters."""
    rates: RateState | None = None
    """Rate limits from the response headers."""
    key_index: int | None = None
    """Index of the key that was used, from 0; None for a single key."""


class ProviderError(Exception):
    """A failed call. ``error_type`` alone decides what the call stage does next."""

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
        """For people; never contains a key."""
        self.http_status = http_status
        """None if no response came."""
        self.retry_after_s = retry_after_s
        """The delay that the provider states, in seconds."""
        self.param = param
        """The invalid parameter of the caller's request, by OpenAI's name."""
        self.partial: JsonObject | None = None
        """The part of a stream that arrived before the error, as a completion."""
        self.usage = Usage()
        """Usage that is billed despite the error."""
        self.sent: bytes = b""
        """The request body that was sent, if it differs from the caller's."""
        self.changes: tuple[Change, ...] = ()
        """Translated and dropped parameters."""
        self.rates: RateState | None = None
        """Rate limits from the response headers."""
        self.key_index: int | None = None
        """Index of the key that was used, from 0; None for a single key."""
        self.retry_with_other_key = False
        """True if the key was refused and another one is available for an immediate retry."""


class Provider(Protocol):
    """One configured provider. A worker creates it once and uses it for hundreds of concurrent calls."""

    Settings: ClassVar[type[ProviderSettings]]

    def __init__(self, name: str, settings: ProviderSettings) -> None: ...

    async def complete(self, call: ProviderCall) -> ProviderAnswer:
        """Make one call. It does not retry: the call stage is the only retry owner.

        Raises:
            ProviderError: on any failure of the provider or the network; no other exception reports them.

        """
        ...

    def stream(self, call: ProviderCall) -> AsyncIterator[JsonObject | ProviderAnswer]:
        """Make one call and yield OpenAI's chunks as they arrive; the last item is the whole answer.

        Raises:
            ProviderError: as ``complete``, also in the middle of the stream.

        """
        ...

    async def close(self) -> None:
        """Close the connections."""
        ...
