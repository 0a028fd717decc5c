from __future__ import annotations

from pathlib import Path
from typing import Any

import orjson
import pytest
import yaml
from hypothesis import given
from hypothesis import strategies as st

from schemas.events.parts import PolicyAction
from streams.config.settings import Policy, Settings
from streams.policy.body_text import UnscannableContentError
from streams.policy.rules import CompiledPolicy, evaluate, redact

CARD = "4111 1111 1111 1111"
EMAIL = "ada@example.org"


def rules(*deny: dict[str, Any], **pii: str) -> CompiledPolicy:
    return CompiledPolicy(Policy.model_validate({"deny": deny, "pii": pii}))


def says(text: str) -> dict[str, Any]:
    return {"model": "demo", "messages": [{"role": "user", "content": text}]}


def masked(text: str, **pii: str) -> str:
    verdict = evaluate(says(text), rules(**pii))
    return str(verdict.document["messages"][0]["content"])


def test_body_without_rules_is_unchanged() -> None:
    document = says(CARD)

    verdict = evaluate(document, rules())

    assert verdict.document is document
    assert (verdict.actions, verdict.blocked) == ((), None)


def test_masked_text_is_replaced_by_its_label() -> None:
    assert masked(f"pay {CARD} now", CREDIT_CARD="mask") == "pay <CREDIT_CARD> now"


def test_allowed_and_unlisted_entities_are_unchanged() -> None:
    assert masked(f"{EMAIL} {CARD}", EMAIL_ADDRESS="allow") == f"{EMAIL} {CARD}"


def test_every_matching_rule_is_counted() -> None:
    verdict = evaluate(
        says(f"{EMAIL}, {EMAIL} {CARD}"), rules(CREDIT_CARD="mask", EMAIL_ADDRESS="allow", IP_ADDRESS="mask")
    )

    assert verdict.actions == (
        PolicyAction(rule="pii.EMAIL_ADDRESS", action="allow", count=2),
        PolicyAction(rule="pii.CREDIT_CARD", action="mask", count=1),
    )


def test_blocked_verdict_lists_only_blocking_rules() -> None:
    verdict = evaluate(says(f"{EMAIL} {CARD}"), rules(CREDIT_CARD="block", EMAIL_ADDRESS="mask"))

    assert verdict.blocked == "pii.CREDIT_CARD"
    assert verdict.actions == (PolicyAction(rule="pii.CREDIT_CARD", action="block", count=1),)


def test_first_rule_of_the_policy_is_the_blocking_one() -> None:
    first, second = {"name": "first", "keywords": ["zebra"]}, {"name": "second", "pattern": "apple"}

    verdict = evaluate(says(f"apple {CARD} zebra"), rules(first, second, CREDIT_CARD="block"))

    assert verdict.blocked == "deny.first"
    assert [action.rule for action in verdict.actions] == ["deny.first", "deny.second", "pii.CREDIT_CARD"]


def test_overlapping_matches_get_the_label_of_the_longest() -> None:
    address = f"{CARD.replace(' ', '')}@example.org"

    assert masked(f"to {address}.", CREDIT_CARD="mask", EMAIL_ADDRESS="mask") == "to <EMAIL_ADDRESS>."


def test_allowed_match_does_not_protect_a_masked_one() -> None:
    address = f"{CARD.replace(' ', '')}@example.org"

    assert masked(address, CREDIT_CARD="mask", EMAIL_ADDRESS="allow") == "<CREDIT_CARD>@example.org"


@pytest.mark.parametrize("action", ["mask", "block"])
def test_match_in_a_field_name_blocks_the_request(action: str) -> None:
    verdict = evaluate(says("hi") | {"metadata": {EMAIL: "x"}}, rules(EMAIL_ADDRESS=action))

    assert verdict.blocked == "pii.EMAIL_ADDRESS"


def test_deny_rule_applies_to_field_names_except_openais() -> None:
    deny = {"name": "no", "keywords": ["content", "user", "role", "bomb"]}

    assert evaluate(says("hi"), rules(deny)).blocked is None
    assert evaluate(says("hi") | {"metadata": {"bomb": ""}}, rules(deny)).blocked == "deny.no"


@pytest.mark.parametrize("tokens", [[1, 2], [[1], [2]]])
def test_token_ids_raise_unscannable_content(tokens: Any) -> None:
    document = {"model": "demo", "input": tokens}

    assert evaluate(document, rules(EMAIL_ADDRESS="allow")).blocked is None
    with pytest.raises(UnscannableContentError, match="token ids"):
        evaluate(document, rules(EMAIL_ADDRESS="mask"))


def test_phone_region_comes_from_the_policy() -> None:
    german = CompiledPolicy(Policy(pii={"PHONE_NUMBER": "mask"}, phone_region="DE"))

    assert evaluate(says("ruf 030 901820 an"), german).document == says("ruf <PHONE_NUMBER> an")
    assert masked("ruf 030 901820 an", PHONE_NUMBER="mask") == "ruf 030 901820 an"


def test_redact_removes_all_matches_without_blocking() -> None:
    strict = rules({"name": "no", "keywords": ["bomb"]}, CREDIT_CARD="block", EMAIL_ADDRESS="mask", IP_ADDRESS="allow")

    assert redact(f"order-{EMAIL}", strict) == "<EMAIL_ADDRESS>"
    assert redact(f"paid with {CARD}", strict) == "paid with <CREDIT_CARD>"
    assert redact("my bomb order", strict) == "<deny.no>"
    assert redact("order 10.0.0.1", strict) == "order 10.0.0.1"


SECRETS = {
    "EMAIL_ADDRESS": EMAIL,
    "CREDIT_CARD": CARD,
    "IBAN_CODE": "DE89 3704 0044 0532 0130 00",
    "IP_ADDRESS": "2001:db8::8a2e:370:7334",
    "PHONE_NUMBER": "+1 650-253-0000",
    "API_KEY": "sk-abcdefghijklmnopqrstuvwxyz",
}
PLACES = st.sampled_from(
    [
        says,
        lambda text: {"messages": [{"role": "user", "content": [{"type": "text", "text": text}]}]},
        lambda text: {"messages": [{"role": "tool", "tool_call_id": "1", "content": text}]},
        lambda text: {"tool_calls": [{"function": {"arguments": orjson.dumps({"deep": [text]}).decode()}}]},
        lambda text: {"tools": [{"function": {"description": text}}]},
        lambda text: {"input": [text, "other"]},
        lambda text: {"metadata": {"label": text}},
        lambda text: {"unknown": {"extra": text}},
    ]
)


@given(PLACES, st.sampled_from(sorted(SECRETS)), st.text(), st.text())
def test_masked_values_are_not_in_the_result(place: Any, entity: str, before: str, after: str) -> None:
    secret = SECRETS[entity]
    everything = rules(**dict.fromkeys(SECRETS, "mask"))

    verdict = evaluate(place(f"{before} {secret} {after}"), everything)

    assert secret not in orjson.dumps(verdict.document).decode()
    assert verdict.blocked is None
    assert any(action.rule == f"pii.{entity}" for action in verdict.actions)


def test_documented_policy_is_valid() -> None:
    page = (Path(__file__).parents[3] / "docs" / "policy.md").read_text("utf-8")
    example = yaml.safe_load(page.partition("```yaml\n")[2].partition("```")[0])

    documented = Settings.model_validate(example)

    assert evaluate(says("project Zeus"), CompiledPolicy(documented.policy("default"))).blocked == "deny.project-names"
    assert not CompiledPolicy(documented.policy("research")).strict
