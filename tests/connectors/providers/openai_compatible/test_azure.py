from __future__ import annotations

import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import ValidationError

from connectors.providers import parse_settings
from connectors.providers.openai_compatible.azure import Azure, AzureSettings, filter_findings
from connectors.providers.provider import ProviderCall, ProviderError
from schemas.json_types import JsonObject
from tests.connectors.wire_double import wire

TOKEN = "entra-0123456789"


def azure(**settings: Any) -> Azure:
    return Azure("az", AzureSettings.model_validate({"resource": "mine", "api_key": "k", **settings}))


def a_call(model: str = "gpt-4o", *, stream: bool = False) -> ProviderCall:
    return ProviderCall("r1", "chat", model, {"messages": [{"role": "user", "content": "hi"}]}, 5.0, stream=stream)


def test_base_url_is_derived_from_the_resource() -> None:
    assert parse_settings({"kind": "azure", "resource": "mine", "api_key": "k"}).base_url == (
        "https://mine.openai.azure.com"
    )


@pytest.mark.parametrize(
    "wrong",
    [
        {"api_key": "k"},
        {"resource": "mine"},
        {"resource": "mine", "api_key": "k", "token": TOKEN},
        {"resource": "mine", "api_key": "k", "api_version": "latest"},
        {"resource": "mine.example.org/x", "api_key": "k"},
    ],
)
def test_invalid_settings_are_refused(wrong: JsonObject) -> None:
    with pytest.raises(ValidationError):
        parse_settings({"kind": "azure", **wrong})


@pytest.mark.parametrize("base_url", ["https://h", "https://h/", "https://h/openai", "https://h/openai/v1/"])
def test_base_url_is_accepted_with_or_without_suffix(base_url: str) -> None:
    made = azure(base_url=base_url)

    assert made._base + made.path(a_call()) == "https://h/openai/v1/chat/completions"


def test_deployment_name_is_quoted_in_the_path() -> None:
    path = azure(api_version="2024-10-21").path(a_call("a/b?c"))

    assert path == "/openai/deployments/a%2Fb%3Fc/chat/completions?api-version=2024-10-21"


@pytest.mark.parametrize(
    ("version", "counted"),
    [("", True), ("2023-05-15", False), ("2024-08-01-preview", False), ("2024-09-01-preview", True)],
)
def test_old_api_version_gets_no_stream_options(version: str, counted: bool) -> None:
    body = azure(api_version=version).to_request(a_call(stream=True)).body

    assert body["stream"] is True
    assert ("stream_options" in body) == counted


async def test_token_is_removed_from_errors() -> None:
    async with wire() as double:
        double.answer(401, {"error": {"message": f"bad token {TOKEN}"}})
        made = azure(base_url=double.url, api_key=None, token=TOKEN)

        with pytest.raises(ProviderError) as caught:
            await made.complete(a_call())
        await made.close()

    assert TOKEN not in f"{caught.value} {caught.value.message} {caught.value.args}"
    assert TOKEN not in repr(AzureSettings.model_validate({"resource": "mine", "token": TOKEN}))


@given(
    st.recursive(
        st.none() | st.text(max_size=5) | st.booleans(),
        lambda inner: (
            st.dictionaries(
                st.sampled_from(["error", "innererror", "content_filter_result", "hate", "filtered"]), inner, max_size=3
            )
            | st.lists(inner, max_size=2)
        ),
    )
)
def test_filter_findings_reads_any_body(body: object) -> None:
    filter_findings(json.dumps(body).encode())


def test_deployment_has_the_parameter_rules_of_its_model() -> None:
    call = ProviderCall(
        "r1", "chat", "chat-prod", {"messages": [{"role": "user", "content": "hi"}], "max_tokens": 9}, 5.0
    )

    named, unnamed = azure(deployments={"chat-prod": "gpt-5-mini"}).to_request(call), azure().to_request(call)

    assert (named.body["model"], named.body["max_completion_tokens"]) == ("chat-prod", 9)
    assert unnamed.body["max_tokens"] == 9
