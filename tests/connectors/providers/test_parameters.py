from __future__ import annotations

import pytest

from connectors.providers.parameters import PASS, ParameterRules, Rule, drop, refuse
from connectors.providers.provider import ProviderError

RULES = ParameterRules(
    "p",
    {
        "top_p": Rule("pass", low=0, high=1),
        "max_tokens": Rule("rename", "limit"),
        "max_completion_tokens": Rule("rename", "limit"),
        "user": drop("no users"),
        "n": refuse("one answer", default=1),
        "stop": Rule("transform"),
    },
    models=(("old-*", {"n": PASS}),),
)


def test_apply_sorts_parameters_by_action_and_records_changes() -> None:
    applied = RULES.apply({"model": "m", "top_p": 0.5, "max_tokens": 3, "user": "u", "stop": "x", "n": None}, "m")

    assert applied.passed == {"top_p": 0.5, "limit": 3}
    assert applied.transform == {"stop": "x"}
    assert [(change.param, change.action) for change in applied.changes] == [
        ("max_tokens", "renamed"),
        ("user", "dropped"),
    ]


@pytest.mark.parametrize(("param", "value"), [("n", 2), ("top_p", 1.1), ("top_p", -0.1), ("unknown", 1)])
def test_unsupported_parameter_is_refused_by_name(param: str, value: object) -> None:
    with pytest.raises(ProviderError, match="p/m") as caught:
        RULES.apply({param: value}, "m")

    assert (caught.value.error_type, caught.value.param) == ("invalid_request", param)


def test_default_is_left_out_and_an_exception_applies_to_its_models() -> None:
    assert RULES.apply({"n": 1}, "m").passed == {}
    assert RULES.apply({"n": 2}, "old-1").passed == {"n": 2}


def test_two_names_of_one_parameter_must_agree() -> None:
    assert RULES.apply({"max_tokens": 3, "max_completion_tokens": 3}, "m").passed == {"limit": 3}
    with pytest.raises(ProviderError, match="contradicts"):
        RULES.apply({"max_tokens": 3, "max_completion_tokens": 4}, "m")
