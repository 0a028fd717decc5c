"""The providers, by kind. One file each; this is the one list of them."""

from __future__ import annotations

from connectors.providers.openai import OpenAI
from connectors.providers.provider import Provider, ProviderSettings
from connectors.providers.simulated import Simulated

KINDS: dict[str, type[Provider]] = {
    "openai": OpenAI,
    "simulated": Simulated,
}


def parse_settings(value: object) -> ProviderSettings:
    """A provider's part of the configuration, read by its kind.

    Raises:
        ValueError: the kind is missing or unknown, or its settings are wrong.

    """
    if isinstance(value, ProviderSettings):
        return value
    kind = value.get("kind") if isinstance(value, dict) else None
    if not isinstance(kind, str) or kind not in KINDS:
        raise ValueError(f"kind must be one of: {', '.join(sorted(KINDS))}")
    return KINDS[kind].Settings.model_validate(value)


def make(name: str, settings: ProviderSettings) -> Provider:
    """The provider that these settings describe."""
    return KINDS[settings.kind](name, settings)
