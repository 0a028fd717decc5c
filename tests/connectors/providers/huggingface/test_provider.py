from __future__ import annotations

import pytest
from pydantic import ValidationError

from connectors.http_client import Response
from connectors.providers import parse_settings
from connectors.providers.huggingface.provider import HuggingFace, HuggingFaceSettings
from connectors.providers.provider import ProviderCall
from schemas.json_types import JsonObject


@pytest.mark.parametrize(
    "wrong", [{"server": "tgi", "api_key": "k"}, {"server": "tei", "api_key": "k"}, {"server": "x"}]
)
def test_self_hosted_server_requires_base_url(wrong: JsonObject) -> None:
    with pytest.raises(ValidationError):
        parse_settings({"kind": "huggingface", **wrong})


@pytest.mark.parametrize("base_url", ["http://tgi:80", "http://tgi:80/v1"])
def test_base_url_is_accepted_with_or_without_suffix(base_url: str) -> None:
    made = HuggingFace("hf", HuggingFaceSettings(base_url=base_url, server="tgi"))

    assert made._base + made.path(ProviderCall("r1", "chat", "m", {}, 5.0)) == "http://tgi:80/v1/chat/completions"


@pytest.mark.parametrize(
    ("header", "seconds"),
    [('"api";r=0;t=55', 55), ('"api";r=3;t=55, "pages";r=0;t=7', 7), ('"api";r=10;t=55', None), ("soon", None)],
)
def test_only_an_exhausted_limit_has_a_retry_delay(header: str, seconds: float | None) -> None:
    made = HuggingFace("hf", HuggingFaceSettings(base_url="http://h"))

    assert made.to_error(Response(429, {"ratelimit": header}, b"")).retry_after_s == seconds
