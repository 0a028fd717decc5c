from __future__ import annotations

import pytest

from connectors.providers import KINDS
from connectors.providers.docs import parameter_tables as tables
from connectors.providers.docs.__main__ import BEGIN, END, PAGE, insert_tables
from connectors.providers.parameters import PASS, ParameterRules, Rule, drop, refuse


def test_page_is_up_to_date() -> None:
    text = PAGE.read_text("utf-8")

    assert insert_tables(text) == text, "run `make docs`"


def test_page_keeps_the_text_around_the_tables() -> None:
    made = insert_tables(f"before\n{BEGIN}\nWHAT WAS\n{END}\nafter\n")

    assert made.startswith(f"before\n{BEGIN}\n")
    assert made.endswith(f"{END}\nafter\n")
    assert "WHAT WAS" not in made


@pytest.mark.parametrize("text", ["", BEGIN, END, f"{END}{BEGIN}"])
def test_page_without_marks_is_an_error(text: str) -> None:
    with pytest.raises(ValueError, match="needs the lines"):
        insert_tables(text)


@pytest.mark.parametrize("kind", sorted(KINDS.keys() - {"simulated"}))
def test_every_kind_has_chat_rules(kind: str) -> None:
    assert "chat" in tables.rules_of_kind(kind)
    assert f"`{kind}`" in tables.render_tables()


@pytest.mark.parametrize("kind", sorted(KINDS.keys() - {"simulated"}))
def test_every_refused_or_dropped_parameter_has_a_reason(kind: str) -> None:
    tables_of_kind = tables.rules_of_kind(kind).values()

    rules = [
        rule
        for table in tables_of_kind
        for rules in (table.rules, *(exceptions for _, exceptions in table.models), {"others": table.unknown})
        for rule in rules.values()
    ]

    assert [rule for rule in rules if rule.action in {"drop", "error"} and not rule.reason] == []


@pytest.mark.parametrize(
    ("rule", "said"),
    [
        (PASS, "as is"),
        (Rule("pass", low=0, high=2), "as is, 0 to 2"),
        (Rule("pass", low=-(2**31)), "as is, -2147483648 or more"),
        (Rule("pass", high=0.5), "as is, 0.5 or less"),
        (Rule("rename", "p", low=0.01, high=0.99), "as `p`, 0.01 to 0.99"),
        (Rule("transform"), "rewritten"),
        (Rule("transform", "stop_sequences"), "rewritten as `stop_sequences`"),
        (drop("why"), "dropped"),
        (refuse("why"), "refused"),
        (refuse("why", default=1), "only `1`"),
        (refuse("why", default=0), "refused"),
    ],
)
def test_render_rule_describes_the_action(rule: Rule, said: str) -> None:
    assert tables.render_rule(rule) == said


def test_notes_list_reasons_and_exceptions_once() -> None:
    fixed = {"dimensions": refuse("fixed")}
    table = ParameterRules(
        "p", {"a": drop("why"), "b": drop("why"), "own": PASS}, models=(("v1-*", fixed), ("v2-*", fixed))
    )

    assert list(tables.render_notes(table, ["a", "b"])) == [
        "Beyond OpenAI's: `own` as is.",
        "`a`, `b` dropped (why).",
        "For `v1-*`, `v2-*`: `dimensions` refused (fixed).",
        "Any other parameter is refused.",
    ]
