"""OpenAI, and every server that speaks its API."""

from __future__ import annotations

from typing import ClassVar, Literal

from pydantic import Field, SecretStr

from connectors.providers.provider import Answer, Call, ProviderError, ProviderSettings


class OpenAISettings(ProviderSettings):
    """How to reach an OpenAI-compatible server."""

    kind: Literal["openai"] = "openai"
    base_url: str = "https://api.openai.com/v1"
    organization: str = ""
    project: str = ""
    headers: dict[str, SecretStr] = Field(default_factory=dict)
    """Sent with every call, for a server that wants more than a key."""


class OpenAI:
    """One OpenAI-compatible server."""

    Settings: ClassVar[type[ProviderSettings]] = OpenAISettings

    def __init__(self, name: str, settings: ProviderSettings) -> None:
        assert isinstance(settings, OpenAISettings)
        self.name = name

    async def complete(self, call: Call) -> Answer:
        """Make the call once."""
        raise ProviderError("server", f"provider {self.name} can't be called yet ({call.operation})")

    async def close(self) -> None:
        """Give back the connections."""
