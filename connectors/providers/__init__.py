"""Registry of provider kinds."""

from __future__ import annotations

import importlib
from collections.abc import Iterator, Mapping

from connectors.providers.key_rotation import KeyRotation
from connectors.providers.provider import Provider
from connectors.providers.settings import ProviderSettings

_CLASSES = {
    "anthropic": "anthropic.provider.Anthropic",
    "bedrock": "bedrock.provider.Bedrock",
    "cohere": "cohere.provider.Cohere",
    "gemini": "gemini.provider.Gemini",
    "openai": "openai_compatible.openai.OpenAI",
    "azure": "openai_compatible.azure.Azure",
    "huggingface": "huggingface.provider.HuggingFace",
    "llamacpp": "openai_compatible.llamacpp.LlamaCpp",
    "mistral": "mistral.provider.Mistral",
    "ollama": "openai_compatible.ollama.Ollama",
    "vllm": "openai_compatible.vllm.VLLM",
    "simulated": "simulated.provider.Simulated",
}
"""Module and class of each kind, relative to this package."""

KIND_ALIASES = {"llama.cpp": "llamacpp"}
"""Alternative names of kinds, which are no valid Python module names."""


class _Kinds(Mapping[str, type[Provider]]):
    """Lazy mapping from kind to class. A process imports only the kinds that it looks up."""

    def __getitem__(self, kind: str) -> type[Provider]:
        module, _, name = _CLASSES[kind].rpartition(".")
        found: type[Provider] = getattr(importlib.import_module(f"{__name__}.{module}"), name)
        return found

    def __iter__(self) -> Iterator[str]:
        return iter(_CLASSES)

    def __len__(self) -> int:
        return len(_CLASSES)


KINDS: Mapping[str, type[Provider]] = _Kinds()


def parse_settings(value: object) -> ProviderSettings:
    """Parse one provider's section of the configuration by its kind.

    Raises:
        ValueError: the kind is missing or unknown, or its settings are wrong.

    """
    if isinstance(value, ProviderSettings):
        return value
    kind = kind_of(value)
    if not isinstance(value, dict) or kind is None:
        raise ValueError(f"kind must be one of: {', '.join(sorted(KINDS))}")
    settings = KINDS[kind].Settings.model_validate({**value, "kind": kind})
    for key in settings.api_keys:  # each must be a valid key of the kind
        KINDS[kind].Settings.model_validate({**value, "kind": kind, "api_key": key, "api_keys": ()})
    return settings


def kind_of(value: object) -> str | None:
    """Return the kind that a provider's section names; None if there is no such kind."""
    name = value.get("kind") if isinstance(value, dict) else None
    kind = KIND_ALIASES.get(name, name) if isinstance(name, str) else None
    return kind if kind in KINDS else None


def make_provider(name: str, settings: ProviderSettings) -> Provider:
    """Build a provider from its settings; with several keys, a ``KeyRotation`` over them."""
    kind = KINDS[settings.kind]
    if not settings.api_keys:
        return kind(name, settings)
    keys = (settings.api_key, *settings.api_keys)
    return KeyRotation([kind(name, settings.model_copy(update={"api_key": key, "api_keys": ()})) for key in keys])
