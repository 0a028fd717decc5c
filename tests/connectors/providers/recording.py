"""Recordings that the contract test replays: ``recordings/<kind>/<case>.json``, one exchange with a provider each.

They are written by hand from the provider's own documentation, which ``source`` names. A recording contains the
caller's request (``request``, OpenAI's body, without ``stream``), the expected request to the provider (``sent``), the
provider's response (``response``), and one of three results:

- ``answer``: the answer to the caller, with ``usage``, ``finish_reasons`` and ``changes``. Objects may have more
  members than expected, lists may not. With ``"stream": true`` also ``chunks``; ``answer`` is then their assembly.
- ``error``: the expected error. In a stream, ``chunks`` are those before it.
- ``refused``: the parameter that this provider does not support; nothing is sent then.

``settings`` are added to those of the kind; ``{base}`` in them is the test server's address, also the default
``base_url``. ``{unix+7}`` and ``{date+7}`` in a response header are the time in seven seconds.

``recordings/<kind>/_kind.json`` applies to all recordings of a kind: ``settings``, and ``absent``: the cases of
``REQUIRED`` that the kind cannot have, each with a reason.
"""

from __future__ import annotations

import base64
import email.utils
import functools
import json
import re
import time
from pathlib import Path
from typing import Any, Literal, Self

from pydantic import BaseModel, ConfigDict, Field, model_validator

from connectors.providers import KINDS, make_provider, parse_settings
from connectors.providers.provider import ProviderCall
from connectors.providers.wire.http_provider import HttpProvider
from schemas.events.parts import Usage
from schemas.events.vocabulary import ErrorType, Operation
from schemas.json_types import JsonObject

FOLDER = Path(__file__).parent / "recordings"
KIND_FILE = "_kind.json"
KEY = "sk-contract-0123456789"

REQUIRED = (
    "chat",
    "tools",
    "tool_result",
    "image",
    "structured_output",
    "reasoning",
    "embeddings",
    "stream",
    "stream_tools",
    "stream_error",
    "stream_truncated",
    "error_rate_limited",
    "error_capacity",
    "error_quota",
    "error_context_length",
    "error_auth",
    "error_not_found",
    "error_server",
    "hint",
)
"""Cases of every provider. ``image``, ``structured_output`` and ``embeddings`` may be refusals."""


class Part(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid")


class Sent(Part):
    path: str
    """Path relative to the base URL, with its query, percent-encoded as it is sent."""
    headers: dict[str, str] = {}
    """Expected headers, with lower-case names. ``{key}`` stands for the key."""
    body: JsonObject
    """Complete expected body."""


class Received(Part):
    status: int = 200
    headers: dict[str, str] = {}
    body: Any = None
    """A JSON body,"""
    text: str | None = None
    """or one that is not JSON,"""
    encoded: str | None = Field(default=None, alias="base64")
    """or one that is not text."""

    @property
    def content(self) -> bytes:
        if self.encoded is not None:
            return base64.b64decode(self.encoded)
        return self.text.encode() if self.text is not None else json.dumps(self.body).encode()

    @property
    def headers_now(self) -> dict[str, str]:
        return {name: _moments(value) for name, value in self.headers.items()}


class Failed(Part):
    error_type: ErrorType
    http_status: int | None = None
    """The response's own, unless it is said here."""
    retry_after_s: float | None = None
    param: str | None = None
    message: str | None = None
    """A part of it."""


class Refused(Part):
    param: str


class Changed(Part):
    param: str
    action: Literal["renamed", "transformed", "dropped"]


class Recording(Part):
    source: str = Field(min_length=10)
    operation: Operation = "chat"
    model: str
    settings: JsonObject = {}
    request: JsonObject
    stream: bool = False
    sent: Sent | None = None
    response: Received | None = None

    answer: JsonObject | None = None
    chunks: list[JsonObject] | None = None
    usage: Usage | None = None
    finish_reasons: tuple[str, ...] | None = None
    changes: tuple[Changed, ...] = ()
    error: Failed | None = None
    refused: Refused | None = None

    @model_validator(mode="after")
    def _is_whole(self) -> Self:
        ends = [end for end in (self.answer, self.error, self.refused) if end is not None]
        assert len(ends) == 1, "a recording has one of answer, error and refused"
        assert (self.response is None) == (self.sent is None) == (self.refused is not None), "sent and received, or not"
        assert not (self.stream and self.answer is not None) or self.chunks, "a stream has chunks"
        assert self.answer is None or self.usage is not None, "an answer has its usage counted"
        return self

    @property
    def call(self) -> ProviderCall:
        body = {**self.request, "stream": True} if self.stream else self.request
        return ProviderCall("r1", self.operation, self.model, body, timeout_s=5.0, stream=self.stream)


class Kind(Part):
    settings: JsonObject = {}
    absent: dict[str, str] = {}


@functools.cache
def kind_file(kind: str) -> Kind:
    path = FOLDER / kind / KIND_FILE
    return Kind.model_validate_json(path.read_bytes()) if path.exists() else Kind()


@functools.cache
def recordings(kind: str) -> dict[str, Recording]:
    """Return the recordings of a kind by case."""
    paths = sorted(path for path in (FOLDER / kind).glob("*.json") if path.name != KIND_FILE)
    return {path.stem: Recording.model_validate_json(path.read_bytes()) for path in paths}


@functools.cache
def offline_provider(kind: str) -> HttpProvider:
    """Return a provider of this kind with an unreachable address."""
    settings = {"kind": kind, "base_url": "http://127.0.0.1:1", "api_key": KEY, **kind_file(kind).settings}
    provider = make_provider("contract", parse_settings(settings))
    assert isinstance(provider, HttpProvider)
    return provider


def settings_for(kind: str, recording: Recording, base: str) -> JsonObject:
    """Return the configuration of a provider for a test server at this address."""
    made = {"kind": kind, "base_url": "{base}", "api_key": KEY, **kind_file(kind).settings, **recording.settings}
    return {
        name: value.replace("{base}", base) if isinstance(value, str) else value
        for name, value in made.items()
        if value is not None
    }


def _moments(text: str) -> str:
    def moment(found: re.Match[str]) -> str:
        ahead = time.time() + float(found[2])
        return f"{ahead:.3f}" if found[1] == "unix" else email.utils.formatdate(ahead, usegmt=True)

    return re.sub(r"\{(unix|date)\+(\d+)\}", moment, text)


def differences(said: Any, expected: Any, at: str = "") -> list[str]:
    """Return the differences of a document from the expected one. Objects may have more members, lists may not."""
    if isinstance(expected, dict) and isinstance(said, dict):
        missing = [f"{at}.{name} is missing" for name in expected if name not in said]
        common = [name for name in expected if name in said]
        return missing + [line for name in common for line in differences(said[name], expected[name], f"{at}.{name}")]
    if isinstance(expected, list) and isinstance(said, list) and len(said) == len(expected):
        pairs = enumerate(zip(said, expected, strict=True))
        return [line for index, (one, other) in pairs for line in differences(one, other, f"{at}[{index}]")]
    return [] if said == expected else [f"{at or 'it'} is {said!r}, expected {expected!r}"]


SPOKEN = sorted(KINDS.keys() - {"simulated"})
RECORDED = [(kind, case) for kind in SPOKEN for case in recordings(kind)]
IDS = [f"{kind}-{case}" for kind, case in RECORDED]
