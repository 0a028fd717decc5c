from __future__ import annotations

import pytest
import yaml

from streams.config.yaml_loader import describe, load


def said(text: str) -> str:
    with pytest.raises(yaml.YAMLError) as caught:
        load(text)
    return describe(caught.value)


def test_a_name_that_stands_twice_is_refused_since_yaml_would_forget_the_first() -> None:
    text = "tenants: {acme: {policy: strict}}\npolicies: {strict: {}}\ntenants: {acme: {}}\n"

    assert said(text) == (
        "line 3, column 1: can't be read as YAML: this name stands here for the second time, first in line 1"
    )


def test_what_is_merged_in_may_be_said_again() -> None:
    assert load("base: &base {a: 1, b: 2}\nown: {<<: *base, b: 3}") == {
        "base": {"a": 1, "b": 2},
        "own": {"a": 1, "b": 3},
    }


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("\nkey: *sk-secret", "line 2, column 6: can't be read as YAML: found undefined alias …; a value that begins"),
        ("a: &sk-secret 1\nb: &sk-secret 2", "line 2, column 4: can't be read as YAML: an anchor stands here for the"),
        ("key: *sk.secret", "line 1, column 9: can't be read as YAML: expected alphabetic or numeric character"),
        ("key: !sk-secret", "line 1, column 6: can't be read as YAML: could not determine a constructor for the tag …"),
        ("key: !sk'secret", "line 1, column 6: can't be read as YAML: could not determine a constructor for the tag …"),
        ("key: !sk!secret x", "line 1, column 6: can't be read as YAML: found undefined tag handle …; a value that"),
        ("%TAG !sk! s:\n%TAG !sk! s:\n--- 1", "line 2, column 1: can't be read as YAML: duplicate tag handle …"),
        ("keys: {sk-secret, sk-secret}", "line 1, column 19: can't be read as YAML: this name stands here for the"),
        ("key: !!int sk-secret", "line 1, column 6: can't be read as YAML: this is no such number"),
        ("key: !!bool sk-secret", "line 1, column 6: can't be read as YAML: this is no such number"),
        ("key: !!timestamp sk-secret", "line 1, column 6: can't be read as YAML: this is no such number"),
        ("since: 2026-13-45", "line 1, column 8: can't be read as YAML: this is no such number, date or word"),
        ("key: !!binary sk-secrét", "line 1, column 6: can't be read as YAML: failed to convert base64 data into"),
        ("key: @sk-secret", "line 1, column 6: can't be read as YAML: found character '@' that cannot start any token"),
        ("key: [sk-secret}", "line 1, column 16: can't be read as YAML: expected ',' or ']', but got '}'"),
        ("key: sk-secret: x", "line 1, column 15: can't be read as YAML: mapping values are not allowed here"),
        ('key: "sk-secret\\q"', "line 1, column 17: can't be read as YAML: found unknown escape character …"),
        ("a: 1\n--- sk-secret", "line 2, column 1: can't be read as YAML: a second document begins here"),
        ("a: &a {secret: *a}", "line 1, column 4: can't be read as YAML: what stands here holds itself, by an alias"),
        ("[" * 1000, "can't be read as YAML: it is nested too deeply"),
        ("a: \x01sk-secret", "can't be read as YAML: it holds a character that can not be there"),
    ],
)
def test_a_fault_names_its_place_and_kind_and_quotes_no_value(text: str, expected: str) -> None:
    assert said(text).startswith(expected)
    assert "secr" not in said(text)
