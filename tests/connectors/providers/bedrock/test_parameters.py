from __future__ import annotations

import pytest

from connectors.providers.bedrock.parameters import PARAMETERS
from connectors.providers.provider import ProviderError

SONNET_4_5 = "eu.anthropic.claude-sonnet-4-5-20250929-v1:0"
OPUS_5 = "us.anthropic.claude-opus-5"


def test_default_value_is_neither_sent_nor_recorded() -> None:
    said = {"n": 1, "logprobs": False, "modalities": ["text"], "store": False, "presence_penalty": 0}

    applied = PARAMETERS["chat"].apply({**said, "service_tier": "auto"}, SONNET_4_5)

    assert (applied.passed, applied.transform, applied.changes) == ({}, {}, [])


def test_model_without_sampling_drops_it_and_records_it() -> None:
    applied = PARAMETERS["chat"].apply({"temperature": 1.7, "top_p": 0.5, "top_k": 5}, OPUS_5)

    assert (applied.passed, applied.transform) == ({}, {})
    assert [(change.param, change.action) for change in applied.changes] == [
        ("temperature", "dropped"),
        ("top_p", "dropped"),
        ("top_k", "dropped"),
    ]


def test_temperature_out_of_range_is_refused() -> None:
    with pytest.raises(ProviderError) as caught:
        PARAMETERS["chat"].apply({"temperature": 1.5}, SONNET_4_5)

    assert caught.value.param == "temperature"


def test_only_coheres_models_get_input_type() -> None:
    asked = {"input_type": "search_query"}

    assert PARAMETERS["embeddings"].apply(asked, "cohere.embed-v4:0").passed == asked
    with pytest.raises(ProviderError) as caught:
        PARAMETERS["embeddings"].apply(asked, "amazon.titan-embed-text-v2:0")
    assert caught.value.param == "input_type"
