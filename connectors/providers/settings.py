"""Settings that all providers share, and the types of their fields."""

from __future__ import annotations

from typing import Annotated, Self

from pydantic import AfterValidator, BaseModel, ConfigDict, Field, SecretStr, model_validator

from connectors.providers.call_limits import ConfiguredLimits
from connectors.providers.resilience import BreakerSettings, RateLimit


class ProviderSettings(BaseModel):
    """Settings of every provider; each kind adds its own."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    kind: str
    base_url: str | None = None
    """Overrides the kind's own host, for example with a proxy or a test server."""
    api_key: SecretStr | None = None
    api_keys: tuple[SecretStr, ...] = ()
    """Additional keys; calls rotate over all of them."""
    max_in_flight: int = Field(default=1000, ge=1)
    """Maximum concurrent calls per worker."""
    limits: ConfiguredLimits = Field(default_factory=dict)
    """Size limits of one call by model; they override the built-in ones."""
    breaker: BreakerSettings = BreakerSettings()
    """Circuit breaker of each of its models."""
    rate_limit: RateLimit | None = None
    """Rate limit that calls wait for, in addition to the limits that the provider reports."""

    def price_key(self, model: str) -> tuple[str, str]:
        """Return the provider (by genai-prices' id) and the model whose price applies; an empty id means this kind."""
        return "", model

    @model_validator(mode="after")
    def _check_keys(self) -> Self:
        if self.api_keys and not (self.api_key and self.api_key.get_secret_value()):
            raise ValueError("api_keys requires api_key")
        return self


def _check_header_value(secret: SecretStr) -> SecretStr:
    text = secret.get_secret_value()
    if text and not (text.isascii() and text.isprintable()):
        raise ValueError("contains a line break or another character that is not allowed in an HTTP header")
    return secret


HeaderName = Annotated[str, Field(pattern=r"^[A-Za-z0-9-]+$")]
HeaderText = Annotated[str, Field(pattern=r"^[!-~]*$")]
HeaderSecret = Annotated[SecretStr, AfterValidator(_check_header_value)]

BASE_URL = r"^https?://[^\s@?#]+$"
"""Pattern of base URLs: no credentials, query or fragment."""
