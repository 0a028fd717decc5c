"""Moved out of connectors/providers/openai_compatible/provider.py."""

from __future__ import annotations

from typing import Annotated, Self

from pydantic import AfterValidator, BaseModel, ConfigDict, Field, SecretStr, model_validator

from connectors.providers.call_limits import ConfiguredLimits
from connectors.providers.resilience import BreakerSettings, RateLimit


class ProviderSettings(BaseModel):
    """What every provider has in the configuration; each kind adds its own."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    kind: str
    base_url: str | None = None
    """Overrides the kind's own host, so that a proxy or a double can stand in."""
    api_key: SecretStr | None = None
    api_keys: tuple[SecretStr, ...] = ()
    """More keys, beside the first: all are called in turn."""
    max_in_flight: int = Field(default=1000, ge=1)
    """Calls under way at once, per worker."""
    limits: ConfiguredLimits = Field(default_factory=dict)
    """What one call may hold, by model, over what is known of the kind."""
    breaker: BreakerSettings = BreakerSettings()
    """When one of its models is left alone."""
    rate_limit: RateLimit | None = None
    """Kept to by waiting, beside what the provider itself says of its limits."""

    def price_key(self, model: str) -> tuple[str, str]:
        """Whose price a model has, by genai-prices' id, and which model it is; an empty id: that of this kind."""
        return "", model

    @model_validator(mode="after")
    def _check_keys(self) -> Self:
        if self.api_keys and not (self.api_key and self.api_key.get_secret_value()):
            raise ValueError("api_keys are more keys beside api_key, which is missing")
        return self


def _check_header_value(secret: SecretStr) -> SecretStr:
    text = secret.get_secret_value()
    if text and not (text.isascii() and text.isprintable()):
        raise ValueError("holds a line break or another character that no HTTP header can carry")
    return secret


HeaderName = Annotated[str, Field(pattern=r"^[A-Za-z0-9-]+$")]


HeaderText = Annotated[str, Field(pattern=r"^[!-~]*$")]


HeaderSecret = Annotated[SecretStr, AfterValidator(_check_header_value)]


BASE_URL = r"^https?://[^\s@?#]+$"
