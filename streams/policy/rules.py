"""What a tenant's policy makes of a body: which rules it breaks, and the body with nothing left that must not go on."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass
from typing import Any, get_args

from schemas.codegen.frozen_dataclass import frozen_slots
from schemas.events.parts import PolicyAction
from streams.config.settings import Entity, Policy
from streams.policy.body_text import BodyTextVisitor, UnscannableContentError
from streams.policy.deny_rules import CompiledDenyRule
from streams.policy.pii_detectors import detector


class CompiledPolicy:
    """A policy, compiled. Made once per tenant and worker."""

    def __init__(self, policy: Policy) -> None:
        self.deny = tuple(CompiledDenyRule(rule.name, rule.keywords, rule.pattern) for rule in policy.deny)
        self.pii = tuple(
            (f"pii.{entity}", policy.pii[entity], detector(entity, policy.phone_region))
            for entity in get_args(Entity)
            if entity in policy.pii
        )
        self.strict = bool(self.deny) or any(action != "allow" for _, action, _ in self.pii)
        """Whether anything can be refused or changed."""


@frozen_slots
class PolicyVerdict:
    """What became of a body."""

    document: dict[str, Any]
    """With the masks in it; meaningless if blocked."""
    actions: tuple[PolicyAction, ...] = ()
    blocked: str | None = None
    """The first rule that refuses it, in the order of the policy."""


@dataclass(frozen=True, slots=True)
class _Mask:
    start: int
    end: int
    rule: str

    @property
    def label(self) -> str:
        return f"<{self.rule.removeprefix('pii.')}>"


class _Screening:
    """One body on its way through the rules."""

    def __init__(self, rules: CompiledPolicy) -> None:
        self._rules = rules
        self.found: Counter[str] = Counter()
        self.unmaskable: set[str] = set()

    def text(self, text: str) -> str:
        """Count what is found, and mask what has to be."""
        for deny in self._rules.deny:
            if deny.matches(text):
                self.found[deny.rule] += 1
        masks = []
        for rule, action, detect in self._rules.pii:
            spans = list(detect(text))
            if spans:
                self.found[rule] += len(set(spans))
                masks += [_Mask(*span, rule) for span in spans if action == "mask"]
        return apply_masks(text, masks) if masks else text

    def name(self, name: str) -> None:
        """Look at a field's name. A mask there would change what the body means, so the request is refused instead."""
        before = self.found.copy()
        if self.text(name) != name:
            self.unmaskable |= {rule for rule in self.found if self.found[rule] > before[rule]}


def apply_masks(text: str, masks: list[_Mask]) -> str:
    """Put labels in place of what was found. Where finds overlap all of them go, under the longest one's label.

    Of two that are equally long the earlier names it, then the one whose rule comes first.
    """
    pieces, done = [], 0
    for group in _merge_overlapping(masks):
        longest = max(group, key=lambda mask: mask.end - mask.start)
        pieces += [text[done : group[0].start], longest.label]
        done = max(mask.end for mask in group)
    return "".join([*pieces, text[done:]])


def _merge_overlapping(masks: list[_Mask]) -> list[list[_Mask]]:
    groups: list[list[_Mask]] = []
    end = -1
    for mask in sorted(masks, key=lambda mask: mask.start):
        if mask.start < end:
            groups[-1].append(mask)
        else:
            groups.append([mask])
        end = max(end, mask.end)
    return groups


def evaluate(document: dict[str, Any], rules: CompiledPolicy) -> PolicyVerdict:
    """Hold a body against the rules.

    Raises:
        UnscreenableError: it holds what no rule can see.

    """
    if not rules.deny and not rules.pii:
        return PolicyVerdict(document)
    if rules.strict and _is_tokens(document.get("input")):
        raise UnscannableContentError("input holds token ids, which this tenant's policy can't read; send text instead")
    screening = _Screening(rules)
    rewritten = BodyTextVisitor(screening.text, screening.name).visit(document)
    blocking = [deny.rule for deny in rules.deny if screening.found[deny.rule]]
    blocking += [
        rule
        for rule, action, _ in rules.pii
        if screening.found[rule] and (action == "block" or rule in screening.unmaskable)
    ]
    if blocking:
        actions = (PolicyAction(rule=rule, action="block", count=screening.found[rule]) for rule in blocking)
        return PolicyVerdict(document, tuple(actions), blocking[0])
    found = (
        PolicyAction(rule=rule, action=action, count=screening.found[rule])
        for rule, action, _ in rules.pii
        if screening.found[rule]
    )
    return PolicyVerdict(rewritten, tuple(found))


def _is_tokens(value: object) -> bool:
    return isinstance(value, list) and not all(isinstance(item, str) for item in value)


def redact(text: str, rules: CompiledPolicy) -> str:
    """A text from beside the body, with a label for whatever a rule masks or refuses: it is kept, never refused."""
    for deny in rules.deny:
        if deny.matches(text):
            return f"<{deny.rule}>"
    return apply_masks(
        text,
        [_Mask(*span, rule) for rule, action, detect in rules.pii if action != "allow" for span in detect(text)],
    )
