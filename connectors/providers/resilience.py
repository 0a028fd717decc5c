"""Settings of circuit breakers and rate limits, and the rate limits that a provider reports."""

from __future__ import annotations

from typing import NamedTuple

from pydantic import BaseModel, ConfigDict, Field, model_validator


class BreakerSettings(BaseModel):
    """Circuit breaker of each target."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    failure_ratio: float = Field(default=0.5, gt=0, le=1)
    """Share of failed calls at which the circuit opens."""
    min_calls: int = Field(default=20, ge=1)
    """Minimum number of calls in the window before the ratio counts."""
    window_s: float = Field(default=30.0, gt=0)
    cooldown_s: float = Field(default=5.0, gt=0)
    """Time for which an open circuit passes no call; doubled each time the probes fail."""
    max_cooldown_s: float = Field(default=60.0, gt=0)
    probes: int = Field(default=3, ge=1)
    """Probe calls after the cooldown. All must succeed before the circuit closes."""
    count_rate_limited: bool = False
    """True if rate_limited counts as a failure. By default it does not: a provider that limits us is not broken."""

    @model_validator(mode="after")
    def _check_cooldowns(self) -> BreakerSettings:
        if self.max_cooldown_s < self.cooldown_s:
            raise ValueError("max_cooldown_s must not be below cooldown_s")
        return self


class RateLimit(BaseModel):
    """Rate limit of a provider's key, shared by all workers."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    requests_per_minute: int | None = Field(default=None, ge=1)
    tokens_per_minute: int | None = Field(default=None, ge=1)


class Budget(NamedTuple):
    """One rate limit, as it was when the provider answered."""

    limit: float
    remaining: float
    reset_s: float
    """Seconds from the answer until the limit is fully restored."""


class RateState(NamedTuple):
    """Remaining requests and tokens; None if the provider does not report them."""

    requests: Budget | None = None
    tokens: Budget | None = None
