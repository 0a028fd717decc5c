"""OpenAI, and servers with its API that have no kind of their own.

Source: OpenAI's API reference. POST {base_url}/chat/completions and {base_url}/embeddings, a bearer key,
optional OpenAI-Organization and OpenAI-Project headers. Its usage is inclusive, as ours is.
"""

from __future__ import annotations

from typing import ClassVar, Literal

from pydantic import Field, model_validator

from connectors.providers.openai_compatible.messages import OPENAI_NAMES, with_known_names
from connectors.providers.openai_compatible.parameters import openai_tables
from connectors.providers.openai_compatible.provider import OpenAICompatibleProvider, OpenAICompatibleSettings
from connectors.providers.provider import ProviderCall
from connectors.providers.settings import BASE_URL, HeaderText, ProviderSettings
from schemas.events.parts import Change
from schemas.json_types import JsonObject

HOST = "https://api.openai.com/v1"

PARAMETERS = openai_tables("openai")


class OpenAISettings(OpenAICompatibleSettings):
    """Settings of OpenAI, or of a compatible server."""

    kind: Literal["openai"] = "openai"
    base_url: str = Field(default=HOST, pattern=BASE_URL)
    organization: HeaderText = ""
    project: HeaderText = ""

    @model_validator(mode="after")
    def _check_key(self) -> OpenAISettings:
        if self.base_url.rstrip("/") == HOST and not self.has_key:
            raise ValueError("api_key is required for OpenAI itself; for your own server set base_url")
        return self

    def credentials(self) -> dict[str, str]:
        """Return the key and the account's headers."""
        account = {"openai-organization": self.organization, "openai-project": self.project}
        return super().credentials() | {name: value for name, value in account.items() if value}


class OpenAI(OpenAICompatibleProvider):
    """OpenAI, or a compatible server. Its answers are not changed."""

    Settings: ClassVar[type[ProviderSettings]] = OpenAISettings
    parameters = PARAMETERS

    def __init__(self, name: str, settings: ProviderSettings) -> None:
        super().__init__(name, settings)
        self.packs_vectors = self._base == HOST

    def write_content(self, call: ProviderCall) -> tuple[JsonObject, list[Change]]:
        """Remove other providers' message members for OpenAI itself; another server may have added them."""
        if self._base == HOST and call.operation == "chat":
            messages, changes = with_known_names(call.body["messages"], OPENAI_NAMES)
            return {"messages": messages}, changes
        return super().write_content(call)
