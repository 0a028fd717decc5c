from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from connectors.providers.bedrock.response import FINISH_REASONS, finish_reason, read_choice, read_usage
from connectors.providers.provider import ProviderError
from connectors.providers.wire.usage import openai_usage
from schemas.events.parts import Usage

JSON = st.recursive(
    st.one_of(st.none(), st.booleans(), st.integers(), st.text(max_size=3)),
    lambda inner: st.one_of(
        st.lists(inner, max_size=3),
        st.dictionaries(
            st.sampled_from(
                [
                    "output",
                    "message",
                    "content",
                    "text",
                    "toolUse",
                    "reasoningContent",
                    "reasoningText",
                    "input",
                    "trace",
                ]
            ),
            inner,
            max_size=4,
        ),
    ),
    max_leaves=12,
)


def read(body: Any, model: str = "m", *, by_tool: bool) -> dict[str, Any] | ProviderError:
    try:
        return read_choice(body, model, by_tool=by_tool)
    except ProviderError as error:
        return error


@given(body=JSON, model=st.sampled_from(["anthropic.claude-opus-5", "openai.gpt-oss-120b-1:0"]), by_tool=st.booleans())
def test_any_json_is_an_answer_or_provider_error(body: Any, model: str, *, by_tool: bool) -> None:
    outcome = read(body, model, by_tool=by_tool)

    if isinstance(outcome, ProviderError):
        assert (outcome.error_type, outcome.http_status) == ("server", 200)
    else:
        assert outcome["message"]["role"] == "assistant"


@pytest.mark.parametrize("native", FINISH_REASONS)
def test_involuntary_end_is_not_reported_as_stop(native: str) -> None:
    natural = {"end_turn", "stop_sequence", "pause_turn"}

    assert (finish_reason(native, by_tool=False) == "stop") == (native in natural)


def test_unknown_stop_reason_is_stop() -> None:
    assert finish_reason("something_new", by_tool=False) == "stop"


def test_usage_includes_cache_reads_and_writes() -> None:
    native = {"inputTokens": 17, "outputTokens": 5, "cacheReadInputTokens": 3, "cacheWriteInputTokens": 2}

    usage = read_usage(native)

    assert usage == Usage(input_tokens=22, output_tokens=5, cache_read_input_tokens=3, cache_creation_input_tokens=2)
    assert openai_usage(usage)["total_tokens"] == 27


@pytest.mark.parametrize("native", [None, 5, {"inputTokens": "7"}, {"inputTokens": -1}, {"inputTokens": True}])
def test_invalid_usage_counts_zero(native: object) -> None:
    assert read_usage(native) == Usage()
