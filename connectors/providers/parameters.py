"""What becomes of each OpenAI parameter at a provider: a table, not code, so that the docs can be made of it.

What would change the meaning of an answer and can't be said in the provider's words is an error that names the
parameter. A hint that can't be said is dropped, and the drop is recorded. Nothing is ever clamped.
"""

from __future__ import annotations

import fnmatch
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Literal

from connectors.providers.provider import ProviderError
from schemas.events.parts import Change
from schemas.json_types import JsonObject

Action = Literal["pass", "rename", "transform", "drop", "error"]

NOT_PARAMETERS = frozenset({"model", "messages", "input", "stream", "stream_options"})
"""Not parameters but the request itself: every dialect writes these in its own way."""


@dataclass(frozen=True, slots=True)
class Rule:
    """What becomes of one parameter."""

    action: Action
    to: str = ""
    """The provider's name for it, if that differs."""
    low: float | None = None
    high: float | None = None
    """The provider's own range, both ends included. Outside it the request is refused before anybody is paid."""
    reason: str = ""
    """For the docs, and for who is refused."""
    default: object = None
    """OpenAI's own default, where saying it is saying nothing: then it is left out, whatever the action."""


PASS = Rule("pass")
TRANSFORM = Rule("transform")


def refuse(why: str, default: object = None) -> Rule:
    """Not to be had at this provider, but for OpenAI's own default."""
    return Rule("error", reason=why, default=default)


def drop(why: str, default: object = None) -> Rule:
    """Left out, and on record as such, but for OpenAI's own default."""
    return Rule("drop", reason=why, default=default)


@dataclass(frozen=True, slots=True)
class AppliedParameters:
    """A request's parameters, sorted by what becomes of them."""

    passed: JsonObject = field(default_factory=dict)
    """To send, under the provider's own names."""
    transform: JsonObject = field(default_factory=dict)
    """For the dialect to write in the provider's way, under OpenAI's names."""
    changes: list[Change] = field(default_factory=list)
    """What differs from what was asked for. A dialect adds what it transforms."""


@dataclass(frozen=True, slots=True)
class ParameterRules:
    """The table of one provider and operation."""

    provider: str
    rules: Mapping[str, Rule]
    unknown: Rule = Rule("error", reason="this provider has no such parameter")
    """For names that are not in the table: servers that take extras pass them on."""
    models: tuple[tuple[str, Mapping[str, Rule]], ...] = ()
    """Exceptions, by shell pattern of the provider's model name; the first that matches and has the name counts."""

    def rule_for(self, name: str, model: str) -> Rule:
        """The rule for a parameter at a model."""
        for pattern, exceptions in self.models:
            if name in exceptions and fnmatch.fnmatchcase(model, pattern):
                return exceptions[name]
        return self.rules.get(name, self.unknown)

    def apply(self, body: Mapping[str, Any], model: str) -> AppliedParameters:
        """Sort a request's parameters. One that is null counts as not said.

        Raises:
            ProviderError: invalid_request, naming the parameter that can't be had or is out of range.

        """
        applied = AppliedParameters()
        for name, value in body.items():
            if name in NOT_PARAMETERS or value is None:
                continue
            rule = self.rule_for(name, model)
            if rule.default is not None and value == rule.default:
                continue
            self._check(rule, name, value, model)
            match rule.action:
                case "pass":
                    _set_once(applied.passed, name, name, value)
                case "rename":
                    _set_once(applied.passed, rule.to, name, value)
                    applied.changes.append(Change(param=name, action="renamed", detail=rule.to))
                case "transform":
                    applied.transform[name] = value
                case "drop":
                    applied.changes.append(Change(param=name, action="dropped", detail=rule.reason))
        return applied

    def _check(self, rule: Rule, name: str, value: object, model: str) -> None:
        if rule.action == "error":
            raise invalid_parameter(name, f"{name} is not supported by {self.provider}/{model}: {rule.reason}")
        if isinstance(value, int | float) and not isinstance(value, bool):
            low = rule.low if rule.low is not None else float("-inf")
            high = rule.high if rule.high is not None else float("inf")
            if not low <= value <= high:
                raise invalid_parameter(
                    name, f"{name} must be between {low:g} and {high:g} for {self.provider}/{model}"
                )


def _set_once(passed: JsonObject, name: str, param: str, value: object) -> None:
    if passed.setdefault(name, value) != value:
        raise invalid_parameter(param, f"{param} contradicts another parameter of the same meaning: send one of them")


def invalid_parameter(param: str, message: str) -> ProviderError:
    """The request can't be made of this provider: the caller is told which parameter, and nobody was called."""
    return ProviderError("invalid_request", message, param=param)
