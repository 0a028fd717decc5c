from __future__ import annotations

from typing import Any

import orjson
import pytest

from streams.policy.body_text import BodyTextVisitor, UnscannableContentError


def seen(document: Any) -> tuple[list[str], list[str]]:
    """The texts and the names that a policy is shown."""
    texts: list[str] = []
    names: list[str] = []

    def text(value: str) -> str:
        texts.append(value)
        return value

    BodyTextVisitor(text, names.append).visit(document)
    return texts, names


def upper(document: Any) -> Any:
    return BodyTextVisitor(str.upper, lambda _: None).visit(document)


def test_visitor_rewrites_every_text() -> None:
    texts, names = seen(
        {
            "model": "demo",
            "messages": [
                {"role": "system", "content": "one"},
                {"role": "user", "content": [{"type": "text", "text": "two"}], "name": "three"},
                {"role": "tool", "tool_call_id": "four", "content": "five"},
            ],
            "tools": [{"type": "function", "function": {"name": "six", "description": "seven"}}],
            "metadata": {"eight": "nine"},
            "user": "ten",
            "custom_extra": {"inner": ["eleven", {"deep": "twelve"}]},
            "stop": ["thirteen"],
        }
    )

    assert texts == (
        ["demo", "one", "two", "three", "four", "five", "six", "seven", "nine", "ten", "eleven", "twelve", "thirteen"]
    )
    assert names == ["eight", "custom_extra", "inner", "deep"]


def test_protocol_values_are_not_visited() -> None:
    assert seen({"messages": [{"role": "user", "content": [{"type": "text"}]}]}) == ([], [])


def test_unknown_role_is_visited() -> None:
    assert seen({"role": "villain", "type": "bomb"}) == (["villain", "bomb"], [])


def test_binary_data_is_not_visited_but_urls_are() -> None:
    picture = {"type": "image_url", "image_url": {"url": "data:image/png;base64,iVBORw0KGgo="}}
    sound = {"type": "input_audio", "input_audio": {"data": "UklGRg==", "format": "wav"}}
    paper = {"type": "file", "file": {"file_data": "data:application/pdf;base64,JVBE", "filename": "a.pdf"}}
    linked = {"type": "image_url", "image_url": {"url": "https://example.org/4111111111111111.png"}}

    texts, _ = seen([picture, sound, paper, linked])

    assert texts == ["wav", "a.pdf", "https://example.org/4111111111111111.png"]


@pytest.mark.parametrize(
    "part",
    [
        {"image_url": {"url": "data:text/plain,words that are no base64"}},
        {"input_audio": {"data": "words that are no base64"}},
        {"elsewhere": {"data": "UklGRg=="}},
    ],
)
def test_invalid_binary_data_is_visited(part: dict[str, dict[str, str]]) -> None:
    (inner,) = part.values()

    assert seen(part)[0] == list(inner.values())


def test_tool_arguments_are_visited_as_json() -> None:
    arguments = r'{"to": "ada\u0040example.org", "tags": ["x"]}'

    assert seen({"function": {"arguments": arguments}}) == (["ada@example.org", "x"], ["to", "tags"])
    assert orjson.loads(upper({"arguments": arguments})["arguments"]) == {"to": "ADA@EXAMPLE.ORG", "tags": ["X"]}


@pytest.mark.parametrize("arguments", ['{"cut": "o', "5", '"text"', ""])
def test_arguments_that_are_no_json_object_are_visited_as_text(arguments: str) -> None:
    assert seen({"arguments": arguments})[0] == [arguments]


@pytest.mark.parametrize("levels", [200, 5000])
def test_arguments_nested_too_deeply_are_refused(levels: int) -> None:
    with pytest.raises(UnscannableContentError):
        seen({"arguments": "[" * levels + r'"ada\u0040example.org"' + "]" * levels})


def test_long_number_is_visited_and_stays_a_number_if_unchanged() -> None:
    document = {"card": 4111111111111111, "small": 42, "seed": 4111111111111111, "yes": True}

    assert seen(document)[0] == ["4111111111111111"]
    assert upper(document) == document
    assert BodyTextVisitor(lambda _: "<X>", lambda _: None).visit(document) == {**document, "card": "<X>"}


def test_visitor_does_not_change_its_input() -> None:
    document = {"messages": [{"content": "words"}]}

    assert upper(document) == {"messages": [{"content": "WORDS"}]}
    assert document == {"messages": [{"content": "words"}]}
