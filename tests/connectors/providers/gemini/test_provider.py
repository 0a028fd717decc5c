from __future__ import annotations

import json

import pytest
from pydantic import SecretStr, ValidationError

from connectors.providers import parse_settings
from connectors.providers.gemini.provider import HOST, Gemini, GeminiSettings, resource_name
from connectors.providers.provider import ProviderCall

KEY = "AIza-secret-0123456789"


def test_only_google_itself_requires_a_key() -> None:
    with pytest.raises(ValidationError, match="api_key is required"):
        parse_settings({"kind": "gemini"})

    assert parse_settings({"kind": "gemini", "base_url": "http://localhost:1"}).api_key is None


def test_key_is_not_in_the_url() -> None:
    gemini = Gemini("g", GeminiSettings(api_key=SecretStr(KEY)))
    body = {"messages": [{"role": "user", "content": "hi"}]}

    outgoing = gemini.to_request(ProviderCall("r1", "chat", "gemini-2.5-flash", body, 5.0, stream=True))

    assert KEY not in HOST + outgoing.path
    assert KEY not in json.dumps(outgoing.body)


@pytest.mark.parametrize(
    ("model", "path"),
    [
        ("gemini-2.5-pro", "models/gemini-2.5-pro"),
        ("models/gemini-2.5-pro", "models/gemini-2.5-pro"),
        ("tunedModels/mine-1", "tunedModels/mine-1"),
        ("../cachedContents?x=", "models/..%2FcachedContents%3Fx%3D"),
    ],
)
def test_model_name_is_quoted_in_the_path(model: str, path: str) -> None:
    assert resource_name(model) == path
