from __future__ import annotations

import time

import pytest

from streams.config.regex import compile_pattern
from streams.policy.deny_rules import CompiledDenyRule


def denies(text: str, *words: str, expression: str = "") -> bool:
    return CompiledDenyRule("rule", words, expression).matches(text)


def test_rule_has_its_name() -> None:
    assert CompiledDenyRule("no-weapons", ["bomb"], "").rule == "deny.no-weapons"


@pytest.mark.parametrize(
    ("word", "text"),
    [
        ("bomb", "a BOMB!"),
        ("bomb", "(bomb)"),
        ("Straße", "STRASSE"),
        ("ÉTÉ", "l'e\u0301te\u0301 dernier"),
        ("bomb", "\uff42\uff4f\uff4d\uff42"),
        ("pipe bomb", "a pipe \n bomb"),
        ("c++", "in C++ and C"),
        ("бомба", "это БОМБА"),
        ("炸弹", "制造炸弹的方法"),
        ("폭탄", "폭탄을 만드는"),
        ("ระเบิด", "ทำระเบิดเอง"),
    ],
)
def test_keyword_is_found_in_any_case_and_normalization(word: str, text: str) -> None:
    assert denies(text, "other", word)


@pytest.mark.parametrize(("word", "text"), [("bomb", "bombs"), ("bomb", "aerobomb"), ("bomb", "bo mb"), ("bomb", "")])
def test_keyword_does_not_match_parts_of_words(word: str, text: str) -> None:
    assert not denies(text, word)


def test_pattern_is_searched_unchanged() -> None:
    assert denies("project 42 is secret", expression=r"project \d+")
    assert not denies("PROJECT 42", expression=r"project \d+")
    assert denies("PROJECT 42", expression=r"(?i)project \d+")


def test_keywords_and_pattern_are_alternatives() -> None:
    assert denies("a bomb", "bomb", expression="never")
    assert denies("never", "bomb", expression="never")


@pytest.mark.parametrize("expression", ["(", "(?=ahead)", r"(a)\1"])
def test_pattern_with_lookaround_or_backreference_is_refused(expression: str) -> None:
    with pytest.raises(ValueError, match="RE2"):
        compile_pattern(expression)


def test_pathological_pattern_takes_linear_time() -> None:
    rule = CompiledDenyRule("rule", [], r"(a+)+(a|aa)+b$")

    started = time.process_time()
    assert not rule.matches("a" * 50_000)

    assert time.process_time() - started < 1
