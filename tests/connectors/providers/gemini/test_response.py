from __future__ import annotations

import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from connectors.providers.gemini.candidate import FINISH_REASONS
from connectors.providers.gemini.response import GeminiStreamDecoder, read_completion
from connectors.providers.provider import ProviderAnswer, ProviderCall, ProviderError
from schemas.json_types import JsonObject

CALL = ProviderCall("r1", "chat", "gemini-2.5-flash", {"messages": [{"role": "user", "content": "hi"}]}, 5.0)


def read_candidates(*candidates: JsonObject, **more: Any) -> ProviderAnswer:
    return read_completion(CALL, {"candidates": list(candidates), **more})


@pytest.mark.parametrize(("native", "reason"), [*FINISH_REASONS.items(), ("A_NEW_WORD", "error")])
def test_finish_reason_is_translated_and_kept(native: str, reason: str) -> None:
    answer = read_candidates({"finishReason": native})

    assert answer.body["choices"][0]["finish_reason"] == reason
    assert answer.body["choices"][0]["native_finish_reason"] == native
    assert answer.finish_reasons == (native,)


def test_truncated_tool_call_has_reason_length() -> None:
    part = {"functionCall": {"name": "f", "args": {}}}

    answer = read_candidates({"content": {"parts": [part]}, "finishReason": "MAX_TOKENS"})

    assert answer.body["choices"][0]["finish_reason"] == "length"


def test_call_without_id_gets_a_unique_stable_id() -> None:
    parts = [{"functionCall": {"name": "f", "args": {}}}, {"functionCall": {"name": "f", "args": {}}}]
    candidates = [{"index": index, "content": {"parts": parts}, "finishReason": "STOP"} for index in (0, 1)]

    def ids(response_id: str) -> list[str]:
        body = read_candidates(*candidates, responseId=response_id).body
        return [call["id"] for choice in body["choices"] for call in choice["message"]["tool_calls"]]

    assert len(set(ids("a") + ids("b"))) == 8
    assert ids("a") == ids("a")


@pytest.mark.parametrize("body", [None, [], {}, {"candidates": []}, {"candidates": [{"content": {}}]}, {"usage": 1}])
def test_status_200_without_an_answer_is_a_server_error(body: object) -> None:
    with pytest.raises(ProviderError) as caught:
        read_completion(CALL, body)

    assert (caught.value.error_type, caught.value.http_status) == ("server", 200)


WORDS = """
candidates content parts text thought thoughtSignature functionCall name args id index finishReason promptFeedback
blockReason usageMetadata promptTokenCount logprobsResult chosenCandidates topCandidates candidates token logProbability
safetyRatings category probability responseId modelVersion error code details
"""
NAMES = st.sampled_from(sorted(set(WORDS.split())))
ANYTHING = st.recursive(
    st.one_of(st.none(), st.booleans(), st.integers(), st.floats(allow_nan=False), st.text(max_size=5)),
    lambda inner: st.one_of(st.lists(inner, max_size=3), st.dictionaries(NAMES, inner, max_size=4)),
    max_leaves=12,
)


def candidates_of(parts: st.SearchStrategy[Any]) -> st.SearchStrategy[Any]:
    candidate = st.fixed_dictionaries(
        {"content": st.fixed_dictionaries({"parts": st.lists(parts, max_size=2)})},
        optional={"finishReason": ANYTHING, "index": ANYTHING, "logprobsResult": ANYTHING, "safetyRatings": ANYTHING},
    )
    return st.fixed_dictionaries({"candidates": st.lists(candidate, max_size=2)}, optional={"usageMetadata": ANYTHING})


@given(st.lists(st.one_of(ANYTHING, candidates_of(ANYTHING)), max_size=3))
def test_any_stream_raises_only_provider_error(events: list[Any]) -> None:
    reader, failure = GeminiStreamDecoder(CALL), None

    try:
        for event in events:
            list(reader.feed(b"data: " + json.dumps(event).encode() + b"\n\n"))
        list(reader.finish())
    except ProviderError as error:
        failure = error

    assert reader.finish_reasons or (failure is not None and failure.http_status == 200)
