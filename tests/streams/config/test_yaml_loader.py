from __future__ import annotations

import pytest
import yaml

from streams.config.yaml_loader import describe, load


def message_of(text: str) -> str:
    with pytest.raises(yaml.YAMLError) as raised:
        load(text)
    return describe(raised.value)


def test_duplicate_key_is_an_error_with_both_lines() -> None:
    text = "tenants: {acme: {policy: strict}}\npolicies: {strict: {}}\ntenants: {acme: {}}\n"

    assert message_of(text) == "line 3, column 1: can't be read as YAML: duplicate key (first defined at line 1)"


def test_merged_key_may_be_overridden_once() -> None:
    assert load("base: &base {a: 1, b: 2}\nown: {<<: *base, b: 3}") == {
        "base": {"a": 1, "b": 2},
        "own": {"a": 1, "b": 3},
    }
    assert "duplicate key" in message_of("base: &base {a: 1, b: 2}\nown: {<<: *base, b: 3, b: 4}")


def test_only_true_and_false_are_booleans() -> None:
    text = "{a: no, b: Yes, c: on, d: OFF, e: true, f: False}"

    assert load(text) == {"a": "no", "b": "Yes", "c": "on", "d": "OFF", "e": True, "f": False}


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("\nkey: *sk-secret", "line 2, column 6: can't be read as YAML: found undefined alias …; a value that begins"),
        ("a: &sk-secret 1\nb: &sk-secret 2", "line 2, column 4: can't be read as YAML: duplicate anchor; a value that"),
        ("key: *sk.secret", "line 1, column 9: can't be read as YAML: expected alphabetic or numeric character"),
        ("key: !sk-secret", "line 1, column 6: can't be read as YAML: could not determine a constructor for the tag …"),
        ("key: !sk'secret", "line 1, column 6: can't be read as YAML: could not determine a constructor for the tag …"),
        ("key: !sk!secret x", "line 1, column 6: can't be read as YAML: found undefined tag handle …; a value that"),
        ("%TAG !sk! s:\n%TAG !sk! s:\n--- 1", "line 2, column 1: can't be read as YAML: duplicate tag handle …"),
        ("keys: {sk-secret, sk-secret}", "line 1, column 19: can't be read as YAML: duplicate key (first defined at"),
        ("key: !!int sk-secret", "line 1, column 6: can't be read as YAML: not a valid number"),
        ("key: !!bool sk-secret", "line 1, column 6: can't be read as YAML: not a valid number"),
        ("key: !!timestamp sk-secret", "line 1, column 6: can't be read as YAML: not a valid number"),
        ("since: 2026-13-45", "line 1, column 8: can't be read as YAML: not a valid number, date or value"),
        ("key: !!binary sk-secrét", "line 1, column 6: can't be read as YAML: failed to convert base64 data into"),
        ("key: @sk-secret", "line 1, column 6: can't be read as YAML: found character '@' that cannot start any token"),
        ("key: [sk-secret}", "line 1, column 16: can't be read as YAML: expected ',' or ']', but got '}'"),
        ("key: sk-secret: x", "line 1, column 15: can't be read as YAML: mapping values are not allowed here"),
        ('key: "sk-secret\\q"', "line 1, column 17: can't be read as YAML: found unknown escape character …"),
        ("a: 1\n--- sk-secret", "line 2, column 1: can't be read as YAML: a second document begins here"),
        ("a: &a {secret: *a}", "line 1, column 4: can't be read as YAML: this value contains itself, by an alias"),
        ("\n" + "[" * 1000, "line 2, column "),
        ("a: \x01sk-secret", "can't be read as YAML: it contains a character that is not allowed"),
    ],
)
def test_error_has_place_and_problem_and_quotes_no_value(text: str, expected: str) -> None:
    assert message_of(text).startswith(expected)
    assert "secr" not in message_of(text)


def test_deep_nesting_is_an_error_with_its_line() -> None:
    assert message_of("a: 1\nb: " + "[" * 1000).endswith("can't be read as YAML: nested too deeply")
    assert message_of("a: 1\nb: " + "[" * 1000).startswith("line 2, ")
