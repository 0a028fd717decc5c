"""Evaluation of a tenant's policy on a body: the rules that it violates, and the body with its matches masked."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from typing import get_args

from schemas.codegen.frozen_dataclass import frozen_slots
from schemas.events.parts import PolicyAction
from schemas.json_types import JsonObject
from streams.config.settings import Entity, Policy, Tenant
from streams.policy.body_text import BodyTextVisitor, UnscannableContentError
from streams.policy.deny_rules import CompiledDenyRule
from streams.policy.masking import Mask, apply_masks
from streams.policy.pii_detectors import detector

DEFAULT_POLICY = Tenant().policy
"""Name of the policy of a tenant that is not configured."""

_NO_POLICY = Policy()


class CompiledPolicy:
    """A policy with compiled deny rules and PII detectors."""

    def __init__(self, policy: Policy) -> None:
        self.deny = tuple(CompiledDenyRule(rule.name, rule.keywords, rule.pattern) for rule in policy.deny)
        self.pii = tuple(
            (f"pii.{entity}", policy.pii[entity], detector(entity, policy.phone_region))
            for entity in get_args(Entity)
            if entity in policy.pii
        )
        self.strict = bool(self.deny) or any(action != "allow" for _, action, _ in self.pii)
        """True if the policy can block or change a request."""


class CompiledPolicies:
    """Compiled policies of all tenants. Each policy is compiled on first use and kept."""

    def __init__(self, policies: Mapping[str, Policy], tenants: Mapping[str, Tenant]) -> None:
        self._policies = policies
        self._policy_names = {name: tenant.policy for name, tenant in tenants.items()}
        self._compiled: dict[str, CompiledPolicy] = {}

    def for_tenant(self, tenant: str) -> CompiledPolicy:
        """Return the policy of a tenant; a policy that is not configured allows everything."""
        name = self._policy_names.get(tenant, DEFAULT_POLICY)
        compiled = self._compiled.get(name)
        if compiled is None:
            compiled = self._compiled[name] = CompiledPolicy(self._policies.get(name, _NO_POLICY))
        return compiled


@frozen_slots
class PolicyVerdict:
    """Result of evaluating a policy on a body."""

    document: JsonObject
    """The body with masks; meaningless if blocked."""
    actions: tuple[PolicyAction, ...] = ()
    blocked: str | None = None
    """The first rule that blocks the body, in the order of the policy."""


class _Evaluation:
    """Matches found so far in one body."""

    def __init__(self, policy: CompiledPolicy) -> None:
        self._policy = policy
        self.matches: Counter[str] = Counter()
        self.unmaskable: set[str] = set()
        """Rules that matched a field name."""

    def mask_text(self, text: str) -> str:
        """Count the matches in a text, and return it with masks."""
        for deny in self._policy.deny:
            if deny.matches(text):
                self.matches[deny.rule] += 1
        masks = []
        for rule, action, detect in self._policy.pii:
            spans = list(detect(text))
            if spans:
                self.matches[rule] += len(set(spans))
                masks += [Mask(*span, rule) for span in spans if action == "mask"]
        return apply_masks(text, masks) if masks else text

    def check_field_name(self, name: str) -> None:
        """Count the matches in a field's name. A mask there would change the structure, so the request is blocked."""
        before = self.matches.copy()
        if self.mask_text(name) != name:
            self.unmaskable |= {rule for rule in self.matches if self.matches[rule] > before[rule]}


def evaluate(document: JsonObject, policy: CompiledPolicy) -> PolicyVerdict:
    """Evaluate a policy on a body.

    Raises:
        UnscannableContentError: the body holds content that no rule can read.

    """
    if not policy.deny and not policy.pii:
        return PolicyVerdict(document)
    if policy.strict and _is_tokens(document.get("input")):
        raise UnscannableContentError("The policy can't read token ids in input. Send text instead.")
    evaluation = _Evaluation(policy)
    masked = BodyTextVisitor(evaluation.mask_text, evaluation.check_field_name).visit(document)
    blocking = [deny.rule for deny in policy.deny if evaluation.matches[deny.rule]]
    blocking += [
        rule
        for rule, action, _ in policy.pii
        if evaluation.matches[rule] and (action == "block" or rule in evaluation.unmaskable)
    ]
    if blocking:
        blocks = (PolicyAction(rule=rule, action="block", count=evaluation.matches[rule]) for rule in blocking)
        return PolicyVerdict(document, tuple(blocks), blocking[0])
    actions = (
        PolicyAction(rule=rule, action=action, count=evaluation.matches[rule])
        for rule, action, _ in policy.pii
        if evaluation.matches[rule]
    )
    return PolicyVerdict(masked, tuple(actions))


def _is_tokens(value: object) -> bool:
    return isinstance(value, list) and not all(isinstance(item, str) for item in value)


def redact(text: str, policy: CompiledPolicy) -> str:
    """Return a text from outside the body with a label for each match that a rule masks or blocks. It never blocks."""
    for deny in policy.deny:
        if deny.matches(text):
            return f"<{deny.rule}>"
    return apply_masks(
        text,
        [Mask(*span, rule) for rule, action, detect in policy.pii if action != "allow" for span in detect(text)],
    )
