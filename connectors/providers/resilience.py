"""How a provider is spared, by configuration and by its own words: when it is left alone, how much it is asked for."""

from __future__ import annotations

from typing import NamedTuple

from pydantic import BaseModel, ConfigDict, Field, model_validator


class BreakerSettings(BaseModel):
    """When a target that fails is left alone, and for how long."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    failure_ratio: float = Field(default=0.5, gt=0, le=1)
    """From this share of failed calls on, the breaker opens."""
    min_calls: int = Field(default=20, ge=1)
    """Within the window; fewer say nothing."""
    window_s: float = Field(default=30.0, gt=0)
    cooldown_s: float = Field(default=5.0, gt=0)
    """How long an open breaker lets no call through; doubled each time that the probes fail."""
    max_cooldown_s: float = Field(default=60.0, gt=0)
    probes: int = Field(default=3, ge=1)
    """Calls that are let through after the cool-down. All must succeed before the rest follows."""
    count_rate_limited: bool = False
    """Whether rate_limited is a failure, too. A provider that limits us is not broken."""

    @model_validator(mode="after")
    def _check_cooldowns(self) -> BreakerSettings:
        if self.max_cooldown_s < self.cooldown_s:
            raise ValueError("max_cooldown_s must not be below cooldown_s")
        return self


class RateLimit(BaseModel):
    """How much a provider's key may be asked for, by all workers together."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    requests_per_minute: int | None = Field(default=None, ge=1)
    tokens_per_minute: int | None = Field(default=None, ge=1)


class Budget(NamedTuple):
    """One limit, as it stood when the provider answered."""

    limit: float
    remaining: float
    reset_s: float
    """Until all of it is there again, in seconds from then."""


class RateState(NamedTuple):
    """What is left of the limits on requests and on tokens; None: nothing was said."""

    requests: Budget | None = None
    tokens: Budget | None = None
