"""Settings of the call stage."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from connectors.providers.settings import ProviderSettings
from schemas.kafka.topics import Topics
from streams.config.deployment import OverloadSettings
from streams.config.settings import Price


@dataclass(frozen=True, slots=True)
class CallConfig:
    """The part of the configuration that the call stage uses; ``streams.composition.call_config`` builds it."""

    topics: Topics
    providers: Mapping[str, ProviderSettings]
    """By the provider's configured name."""
    prices: Mapping[str, Price]
    """By ``provider/model``."""
    calls_in_flight: int
    """Requests that one worker processes at once."""
    overload: OverloadSettings
