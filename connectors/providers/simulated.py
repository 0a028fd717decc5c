"""A provider that is none: answers made up here, on time and in any mood, for tests and for trying Sluice out."""

from __future__ import annotations

from typing import ClassVar, Literal

from pydantic import Field

from connectors.providers.provider import Answer, Call, ProviderError, ProviderSettings
from schemas.events import ErrorType


class SimulatedSettings(ProviderSettings):
    """How the provider that is none shall behave."""

    kind: Literal["simulated"] = "simulated"
    latency_ms: float = Field(default=0.0, ge=0)
    jitter_ms: float = Field(default=0.0, ge=0)
    failure_rate: float = Field(default=0.0, ge=0, le=1)
    failures: tuple[ErrorType, ...] = Field(default=("server",), min_length=1)
    rate_limit_rps: float | None = Field(default=None, gt=0)
    hang_rate: float = Field(default=0.0, ge=0, le=1)
    reply_tokens: int = Field(default=32, ge=1)


class Simulated:
    """Answers without a network."""

    Settings: ClassVar[type[ProviderSettings]] = SimulatedSettings

    def __init__(self, name: str, settings: ProviderSettings) -> None:
        assert isinstance(settings, SimulatedSettings)
        self.name = name

    async def complete(self, call: Call) -> Answer:
        """Make the call once."""
        raise ProviderError("server", f"provider {self.name} can't be called yet ({call.operation})")

    async def close(self) -> None:
        """Give back the connections."""
