from __future__ import annotations

import itertools
from typing import Any

import orjson
import pytest
from hypothesis import given
from hypothesis import strategies as st

from connectors.providers.call_limits import UNLIMITED, Limits
from connectors.providers.provider import ProviderAnswer, ProviderError
from connectors.providers.simulated.answers import embeddings_answer
from schemas.events.parts import Change, Usage
from schemas.events.vocabulary import OnOversize
from streams.call.splitting.embeddings import (
    SPECIAL_TOKENS,
    body_of_split,
    check_body,
    inputs_of,
    merge_answers,
    plan_splits,
    sum_usage,
)

TEXTS = st.lists(st.text(min_size=1, max_size=30), min_size=1, max_size=40)
TOKENS = st.lists(st.lists(st.integers(0, 200_000), min_size=1, max_size=8), min_size=1, max_size=40)
LIMITS = st.builds(
    Limits,
    inputs=st.none() | st.integers(1, 10),
    call_tokens=st.none() | st.integers(8, 100),
    body_bytes=st.none() | st.integers(300, 600),
)


def make_body(given: object, **more: Any) -> dict[str, Any]:
    return {"model": "m", "input": given, **more}


def parts(given: object, limits: Limits, on_oversize: OnOversize = "split") -> list[range]:
    return plan_splits(make_body(given), limits, on_oversize, "sim/m")


def refusal(given: object, limits: Limits, on_oversize: OnOversize = "split") -> ProviderError:
    with pytest.raises(ProviderError) as caught:
        parts(given, limits, on_oversize)
    return caught.value


@given(TEXTS | TOKENS, LIMITS)
def test_parts_keep_to_all_limits_and_cover_the_request(given: list[Any], limits: Limits) -> None:
    body = make_body(given, encoding_format="base64")

    cut = plan_splits(body, limits, "split", "sim/m")

    bodies = [body_of_split(body, part) for part in cut]
    assert [item for part in bodies for item in part["input"]] == given
    assert [index for part in cut for index in part] == list(range(len(given)))
    for part in bodies:
        assert {**part, "input": 0} == {**body, "input": 0}
        assert 1 <= len(part["input"]) <= (limits.inputs or len(given))
        assert limits.body_bytes is None or len(orjson.dumps(part)) <= limits.body_bytes
        check_body(part, limits, "sim/m")
        most = sum(len(item.encode()) if isinstance(item, str) else len(item) for item in part["input"])
        assert limits.call_tokens is None or most <= limits.call_tokens or len(part["input"]) == 1


@given(TEXTS | TOKENS, LIMITS)
def test_parts_are_as_large_as_the_limits_allow(given: list[Any], limits: Limits) -> None:
    cut = parts(given, limits)

    for part, following in itertools.pairwise(cut):
        items = given[part.start : following.start + 1]
        tokens = sum(len(item.encode()) + SPECIAL_TOKENS if isinstance(item, str) else len(item) for item in items)
        assert (
            len(items) > (limits.inputs or len(items))
            or tokens > (limits.call_tokens or tokens)
            or len(orjson.dumps(make_body(items))) > (limits.body_bytes or 1e9)
        )


@given(TEXTS | TOKENS, LIMITS)
def test_merged_answers_equal_the_answer_to_the_whole_request(given: list[Any], limits: Limits) -> None:
    body = make_body(given)
    cut = plan_splits(body, limits, "split", "sim/m")

    answer = merge_answers([embeddings_answer(body_of_split(body, part), "m", 2) for part in cut], cut)

    whole = embeddings_answer(body, "m", 2)
    assert answer.body == whole.body
    assert answer.usage == whole.usage


@pytest.mark.parametrize(
    ("given", "expected"),
    [("text", ["text"]), (["a", "b"], ["a", "b"]), ([1, 2], [[1, 2]]), ([[1], [2, 3]], [[1], [2, 3]])],
)
def test_inputs_of_reads_every_form_of_input(given: object, expected: list[Any]) -> None:
    assert inputs_of(make_body(given)) == expected
    assert parts(given, Limits(inputs=1)) == [range(index, index + 1) for index in range(len(expected))]


def test_request_without_limits_is_not_split() -> None:
    assert parts(["a"] * 2048, UNLIMITED) == [range(2048)]


def test_text_that_may_be_too_long_gets_a_part_of_its_own() -> None:
    assert parts(["a", "b" * 50, "c"], Limits(call_tokens=10, input_tokens=5)) == [range(1), range(1, 2), range(2, 3)]


@pytest.mark.parametrize(
    ("given", "limits", "error_type", "message"),
    [
        (
            ["a", "é" * 5],
            Limits(input_chars=4),
            "context_length",
            "input 1 has 5 characters, and sim/m takes at most 4",
        ),
        ([[1], [1, 2, 3]], Limits(input_tokens=2), "context_length", "input 1 has 3 tokens, and sim/m takes at most 2"),
        ([1, 2, 3], Limits(call_tokens=2), "context_length", "input 0 has 3 tokens, and sim/m takes at most 2"),
    ],
)
def test_input_that_fits_into_no_part_is_refused_by_index(
    given: object, limits: Limits, error_type: str, message: str
) -> None:
    error = refusal(given, limits)

    (name,) = limits.model_fields_set
    assert (error.error_type, error.param, error.http_status) == (error_type, "input", None)
    assert error.message == f"{message} (limit {name})"


def test_input_larger_than_a_body_is_refused_by_index() -> None:
    limits = Limits(body_bytes=len(orjson.dumps(make_body(["x" * 100]))))

    assert len(parts(["x" * 100, "a", "x" * 100], limits)) == 3
    error = refusal(["a", "x" * 101], limits)
    assert (error.error_type, error.param) == ("request_too_large", None)
    assert error.message.startswith("with input 1 alone the body has")


@pytest.mark.parametrize("given", ["x" * 100, list(range(20))])
def test_single_input_may_fill_the_body_to_the_last_byte(given: object) -> None:
    size = len(orjson.dumps(make_body(given)))

    assert parts(given, Limits(body_bytes=size)) == [range(1)]
    check_body(make_body(given), Limits(body_bytes=size), "sim/m")
    assert refusal(given, Limits(body_bytes=size - 1)).error_type == "request_too_large"


def test_on_oversize_reject_refuses_with_the_limit() -> None:
    error = refusal(["a"] * 17, Limits(inputs=16), "reject")

    assert (error.error_type, error.param) == ("request_too_large", "input")
    assert error.message == "the request has 17 inputs, and sim/m takes at most 16 (limit inputs)"


def test_on_oversize_reject_refuses_token_ids_but_not_texts() -> None:
    limits = Limits(call_tokens=10)

    assert "11 tokens" in refusal([[1] * 6, [1] * 5], limits, "reject").message
    assert parts(["words and more words"], limits, "reject") == [range(1)]


def test_body_larger_than_the_limit_is_refused_with_both_sizes() -> None:
    body = {"messages": ["x" * 100]}

    with pytest.raises(ProviderError) as caught:
        check_body(body, Limits(body_bytes=100), "tei/bge")

    assert caught.value.error_type == "request_too_large"
    assert caught.value.message == (
        f"the body has {len(orjson.dumps(body))} bytes, and tei/bge takes at most 100 (limit body_bytes)"
    )


def make_answer(*indexes: int | None, **more: Any) -> ProviderAnswer:
    data = [{"index": index, "embedding": [float(index or 0)]} for index in indexes]
    return ProviderAnswer({"data": data}, 200, Usage(input_tokens=3), **more)


def test_merge_orders_embeddings_by_index() -> None:
    answer = merge_answers([make_answer(1, 0), make_answer(0)], [range(2), range(2, 3)])

    assert [item["embedding"] for item in answer.body["data"]] == [[0.0], [1.0], [0.0]]
    assert [item["index"] for item in answer.body["data"]] == [0, 1, 2]


@pytest.mark.parametrize("indexes", [(None, None), (5, 5), (1, 2)])
def test_merge_renumbers_incomplete_indexes(indexes: tuple[int | None, ...]) -> None:
    answer = merge_answers([make_answer(*indexes), make_answer(0)], [range(2), range(2, 3)])

    assert [item["index"] for item in answer.body["data"]] == [0, 1, 2]


@pytest.mark.parametrize("body", [{}, {"data": None}, {"data": [{}]}, {"data": [1, 2]}, {"data": [{}, {}, {}]}])
def test_part_with_a_wrong_number_of_embeddings_is_a_server_error(body: dict[str, Any]) -> None:
    with pytest.raises(ProviderError, match="2 embeddings were requested") as caught:
        merge_answers([ProviderAnswer(body, 200, Usage()), make_answer(0)], [range(2), range(2, 3)])

    assert caught.value.error_type == "server"


def test_merged_answer_has_sent_bodies_native_usage_and_changes() -> None:
    dropped = Change(param="user", action="dropped")
    first = make_answer(0, response_id="a", native_usage={"n": 1}, sent=b'{"a":1}', changes=(dropped,))
    second = make_answer(0, response_id="b", native_usage={"n": 2}, sent=b'{"a":2}', changes=(dropped,))

    answer = merge_answers([first, second], [range(1), range(1, 2)])

    split = Change(param="input", action="transformed", detail="split into 2 calls of 1, 1 inputs")
    assert answer.changes == (split, dropped)
    assert orjson.loads(answer.sent) == [{"a": 1}, {"a": 2}]
    assert answer.native_usage == {"parts": [{"n": 1}, {"n": 2}]}
    assert (answer.response_id, answer.usage) == ("a", sum_usage([first, second]))


def test_merged_usage_sums_nested_objects() -> None:
    usage = {"prompt_tokens": 2, "total_tokens": 2, "prompt_tokens_details": {"cached_tokens": 1}}
    answers = [ProviderAnswer({"data": [{}], "usage": usage}, 200, Usage()) for _ in range(3)]

    answer = merge_answers(answers, [range(1), range(1, 2), range(2, 3)])

    assert answer.body["usage"] == {
        "prompt_tokens": 6,
        "total_tokens": 6,
        "prompt_tokens_details": {"cached_tokens": 3},
    }
