from __future__ import annotations

import pytest

from connectors.providers.openai_compatible.openai import PARAMETERS
from connectors.providers.provider import ProviderError


@pytest.mark.parametrize(
    "model",
    ["o1", "o1-2024-12-17", "o3-mini", "o4-mini", "ft:o4-mini-2025-04-16:org::1", "gpt-5", "gpt-5-mini-2025-08-07"],
)
def test_reasoning_model_gets_no_temperature_and_max_completion_tokens(model: str) -> None:
    applied = PARAMETERS["chat"].apply({"max_tokens": 5, "temperature": 0, "presence_penalty": 0}, model)

    assert applied.passed == {"max_completion_tokens": 5}
    assert [(c.param, c.action) for c in applied.changes] == [("max_tokens", "renamed"), ("temperature", "dropped")]


@pytest.mark.parametrize("model", ["gpt-5.1", "gpt-5.2-2025-12-11", "gpt-5-chat-latest"])
def test_optional_reasoning_model_gets_its_parameters(model: str) -> None:
    applied = PARAMETERS["chat"].apply({"max_tokens": 5, "temperature": 0, "logprobs": True}, model)

    assert applied.passed == {"max_completion_tokens": 5, "temperature": 0, "logprobs": True}


@pytest.mark.parametrize("model", ["gpt-4o", "gpt-4.1-mini", "openai/o3", "marco-o1", "gpt-oss-120b"])
def test_other_model_gets_the_parameters_unchanged(model: str) -> None:
    asked = {"max_tokens": 5, "temperature": 0, "logprobs": True, "added_tomorrow": {"on": True}}

    assert PARAMETERS["chat"].apply(asked, model).passed == asked


@pytest.mark.parametrize(
    ("name", "value"),
    [("temperature", 2.1), ("top_p", -0.1), ("n", 0), ("n", 129), ("presence_penalty", 3), ("top_logprobs", 21)],
)
def test_parameter_invalid_at_openai_is_refused_locally(name: str, value: float) -> None:
    with pytest.raises(ProviderError, match=f"{name} must be between") as caught:
        PARAMETERS["chat"].apply({name: value}, "gpt-4o")

    assert caught.value.param == name
