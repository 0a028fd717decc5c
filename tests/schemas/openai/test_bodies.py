from __future__ import annotations

from typing import Any

import orjson
import pytest
from hypothesis import given
from hypothesis import strategies as st

from schemas.events.parts import Failure
from schemas.openai.bodies import MAX_DEPTH, error_body, nesting_depth, parse_body, validation_failure

SECRET = "what the caller wrote"
USER = {"role": "user", "content": "hello"}
CALL = {"id": "call_1", "type": "function", "function": {"name": "look_up", "arguments": '{"city": "Oslo"}'}}
TOOL = {"type": "function", "function": {"name": "look_up", "parameters": {"type": "object"}}}
PARTS = [
    {"type": "text", "text": "what is this?"},
    {"type": "image_url", "image_url": {"url": "https://example.org/cat.png", "detail": "low"}},
    {"type": "input_audio", "input_audio": {"data": "UklGRg==", "format": "wav"}},
    {"type": "file", "file": {"file_id": "file-1"}},
]


def chat(**fields: Any) -> dict[str, Any]:
    return {"model": "demo", "messages": [USER], **fields}


def chat_messages(*messages: Any) -> dict[str, Any]:
    return chat(messages=list(messages))


def embeddings(value: Any, **fields: Any) -> dict[str, Any]:
    return {"model": "demo", "input": value, **fields}


@pytest.mark.parametrize(
    "body",
    [
        chat(),
        chat(temperature=0, top_p=1, n=128, presence_penalty=-2, frequency_penalty=2.0, seed=-1, max_tokens=1),
        chat(stop="end"),
        chat(stop=["a", "b", "c", "d"]),
        chat(stop=None, temperature=None, metadata=None, tools=None, tool_choice=None, stream=None, user=None),
        chat(logprobs=True, top_logprobs=20),
        chat(metadata={"k" * 64: "v" * 512}, logit_bias={"50256": -100}),
        chat(tools=[TOOL] * 128, tool_choice={"type": "function", "function": {"name": "look_up"}}),
        chat(tools=[{"type": "custom", "custom": {"name": "run"}}], tool_choice="auto", parallel_tool_calls=False),
        chat(response_format={"type": "json_schema", "json_schema": {"name": "x"}}, stream=False),
        chat(min_p=0.1, guided_json={"type": "object"}),
        chat_messages({"role": "developer", "content": "be brief"}, {"role": "system", "content": "and kind"}, USER),
        chat_messages({"role": "user", "content": PARTS, "name": "Ada"}),
        chat_messages(
            USER,
            {"role": "assistant", "tool_calls": [CALL]},
            {"role": "tool", "tool_call_id": "call_1", "content": "5"},
        ),
        chat_messages(USER, {"role": "assistant", "content": None, "refusal": "no"}, USER),
        chat_messages(USER, {"role": "assistant", "content": [{"type": "refusal", "refusal": "no"}]}, USER),
        chat_messages(USER, {"role": "function", "name": "look_up", "content": None}),
    ],
)
def test_chat_body_that_openai_accepts_is_valid(body: dict[str, Any]) -> None:
    assert validation_failure("chat", body) is None


@pytest.mark.parametrize(
    ("body", "param", "code"),
    [
        ({"messages": [USER]}, "model", "missing_required_parameter"),
        (chat(model=""), "model", "invalid_value"),
        ({"model": "demo"}, "messages", "missing_required_parameter"),
        (chat(messages=[]), "messages", "invalid_value"),
        (chat(messages=SECRET), "messages", "invalid_type"),
        (chat_messages(SECRET), "messages[0].role", "invalid_value"),
        (chat_messages(USER, {"role": SECRET, "content": ""}), "messages[1].role", "invalid_value"),
        (chat_messages({"role": "user"}), "messages[0].content", "missing_required_parameter"),
        (chat_messages({"role": "user", "content": 5}), "messages[0].content", "invalid_type"),
        (chat_messages({"role": "user", "content": []}), "messages[0].content", "invalid_value"),
        (
            chat_messages({"role": "user", "content": [{"type": SECRET}]}),
            "messages[0].content[0].type",
            "invalid_value",
        ),
        (
            chat_messages({"role": "user", "content": [*PARTS, {"type": "text"}]}),
            "messages[0].content[4].text",
            "missing_required_parameter",
        ),
        (
            chat_messages({"role": "user", "content": [{"type": "image_url", "image_url": {"url": ""}}]}),
            "messages[0].content[0].image_url.url",
            "invalid_value",
        ),
        (chat_messages({"role": "system", "content": PARTS}), "messages[0].content[1].type", "invalid_value"),
        (chat_messages({"role": "assistant"}), "messages[0].content", "invalid_value"),
        (chat_messages({"role": "tool", "content": SECRET}), "messages[0].tool_call_id", "missing_required_parameter"),
        (
            chat_messages({"role": "assistant", "tool_calls": [{**CALL, "function": {"name": "f", "arguments": {}}}]}),
            "messages[0].tool_calls[0].function.arguments",
            "invalid_type",
        ),
        (chat(n=0), "n", "invalid_value"),
        (chat(n=129), "n", "invalid_value"),
        (chat(n=True), "n", "invalid_type"),
        (chat(temperature=2.1), "temperature", "invalid_value"),
        (chat(temperature="1"), "temperature", "invalid_type"),
        (chat(top_p=1.1), "top_p", "invalid_value"),
        (chat(presence_penalty=2.5), "presence_penalty", "invalid_value"),
        (chat(frequency_penalty=-2.5), "frequency_penalty", "invalid_value"),
        (chat(max_tokens=0), "max_tokens", "invalid_value"),
        (chat(top_logprobs=21, logprobs=True), "top_logprobs", "invalid_value"),
        (chat(top_logprobs=2), "top_logprobs", "invalid_value"),
        (chat(stop=["a"] * 5), "stop", "invalid_value"),
        (chat(stop=[SECRET, 1]), "stop", "invalid_value"),
        (chat(metadata={str(number): "" for number in range(17)}), "metadata", "invalid_value"),
        (chat(metadata={SECRET * 4: ""}), "metadata", "invalid_value"),
        (chat(metadata={SECRET: "v" * 513}), "metadata", "invalid_value"),
        (chat(metadata={SECRET: 5}), "metadata", "invalid_type"),
        (chat(logit_bias={SECRET: 101}), "logit_bias", "invalid_value"),
        (chat(tools=[TOOL] * 129), "tools", "invalid_value"),
        (chat(tools=[{"type": SECRET}]), "tools[0].type", "invalid_value"),
        (chat(tools=[{"type": "function", "function": {"name": ""}}]), "tools[0].function.name", "invalid_value"),
        (chat(tool_choice=SECRET), "tool_choice", "invalid_value"),
        (chat(response_format={}), "response_format.type", "missing_required_parameter"),
    ],
)
def test_failure_of_an_invalid_chat_body_names_the_parameter(body: dict[str, Any], param: str, code: str) -> None:
    failure = validation_failure("chat", body)

    assert failure is not None
    assert (failure.status, failure.type, failure.param, failure.code) == (400, "invalid_request_error", param, code)
    assert SECRET not in failure.message


@pytest.mark.parametrize("value", ["a", ["a"], ["a"] * 2048, [1, 2], [[1, 2], [3]]])
def test_embedding_input_that_openai_accepts_is_valid(value: Any) -> None:
    assert validation_failure("embeddings", embeddings(value, encoding_format="base64", dimensions=1, user="u")) is None


@pytest.mark.parametrize(
    "value", ["", [], ["a", ""], ["a"] * 2049, ["a", 1], [1, [1]], [[]], [[1], []], 5, None, [True], [1.5], {"a": 1}]
)
def test_embedding_input_that_openai_refuses_is_invalid(value: Any) -> None:
    failure = validation_failure("embeddings", embeddings(value))

    assert failure is not None
    assert failure.param == "input"


@pytest.mark.parametrize(
    ("fields", "param"), [({"dimensions": 0}, "dimensions"), ({"encoding_format": SECRET}, "encoding_format")]
)
def test_failure_of_an_invalid_embeddings_body_names_the_parameter(fields: dict[str, Any], param: str) -> None:
    failure = validation_failure("embeddings", embeddings("a", **fields))

    assert failure is not None
    assert failure.param == param
    assert SECRET not in failure.message


def test_body_that_is_not_utf_8_has_its_own_message() -> None:
    failure = parse_body(b'{"model": "\xff"}')

    assert isinstance(failure, Failure)
    assert failure.message == "the body is not UTF-8"


@pytest.mark.parametrize("body", [b"", b"hello", b'{"a":', b"\xff", b"[]", b'"text"', b"null", b'{"a": "\\ud800"}'])
def test_body_that_is_not_a_json_object_is_invalid_json(body: bytes) -> None:
    failure = parse_body(body)

    assert isinstance(failure, Failure)
    assert (failure.status, failure.code) == (400, "invalid_json")


@pytest.mark.parametrize("levels", [MAX_DEPTH + 1, 1024, 1025, 5000])
def test_body_may_nest_at_most_100_levels_deep(levels: int) -> None:
    def nested(levels: int) -> bytes:
        return b'{"a":' + b"[" * (levels - 1) + b"]" * (levels - 1) + b"}"

    valid, too_deep = parse_body(nested(MAX_DEPTH)), parse_body(nested(levels))

    assert isinstance(valid, dict)
    assert isinstance(too_deep, Failure)
    assert too_deep.message == "the body nests deeper than 100 levels"


def test_nesting_depth_does_not_count_siblings() -> None:
    assert nesting_depth(parse_body(b'{"a":[' + b"[]," * 500 + b"[]]}")) == 3


JSON = st.recursive(
    st.none() | st.booleans() | st.integers(-(2**60), 2**60) | st.floats(allow_nan=False) | st.text(),
    lambda inner: st.lists(inner) | st.dictionaries(st.text(), inner),
    max_leaves=8,
)


@given(
    st.dictionaries(
        st.sampled_from(
            ["model", "messages", "input", "stop", "metadata", "tools", "tool_choice", "n", "temperature", "logit_bias"]
        ),
        JSON
        | st.lists(st.fixed_dictionaries({"role": st.sampled_from(["user", "tool", "assistant"]), "content": JSON})),
    )
)
def test_any_json_object_is_valid_or_a_failure_with_status_400(document: dict[str, Any]) -> None:
    for operation in ("chat", "embeddings"):
        failure = validation_failure(operation, document)

        assert failure is None or (failure.status == 400 and failure.message)


def test_error_body_has_the_shape_of_openai() -> None:
    failure = Failure(status=400, type="invalid_request_error", code="invalid_value", message="n is odd", param="n")

    assert orjson.loads(error_body(failure)) == {
        "error": {"message": "n is odd", "type": "invalid_request_error", "param": "n", "code": "invalid_value"}
    }
