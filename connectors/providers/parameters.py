"""Rules for each OpenAI parameter at a provider: a table, from which the documentation is generated.

A parameter that would change the meaning of an answer and has no equivalent at the provider is an error that names the
parameter. A hint without an equivalent is dropped, and the drop is recorded. No value is clamped.

A parameter that would change the meaning of an answer and has no equivalent at the provider is an error that names the
parameter. A hint without an equivalent is dropped, and the drop is recorded. No value is clamped.
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
"""Members of the body that are the request itself; each provider writes them in its own format."""


@dataclass(frozen=True, slots=True)
class Rule:
    """Rule for one parameter."""

    action: Action
    to: str = ""
    """The provider's name of the parameter, if it differs."""
    low: float | None = None
    high: float | None = None
    """The provider's range, both ends inclusive. Outside it the request is refused before it is sent."""
    reason: str = ""
    """Explanation for the documentation and for error messages."""
    default: object = None
    """OpenAI's default. A parameter with this value is left out, whatever the action."""


PASS = Rule("pass")
TRANSFORM = Rule("transform")


def refuse(why: str, default: object = None) -> Rule:
    """Build a rule that refuses a parameter, except with OpenAI's default."""
    return Rule("error", reason=why, default=default)


def drop(why: str, default: object = None) -> Rule:
    """Build a rule that drops a parameter and records it, except with OpenAI's default."""
    return Rule("drop", reason=why, default=default)


@dataclass(frozen=True, slots=True)
class AppliedParameters:
    """A request's parameters, sorted by action."""

    passed: JsonObject = field(default_factory=dict)
    """Parameters to send, under the provider's names."""
    transform: JsonObject = field(default_factory=dict)
    """Parameters that the provider's code translates, under OpenAI's names."""
    changes: list[Change] = field(default_factory=list)
    """Differences from the caller's request. The provider's code adds what it translates."""


@dataclass(frozen=True, slots=True)
class ParameterRules:
    """Rules of one provider and operation."""

    provider: str
    rules: Mapping[str, Rule]
    unknown: Rule = Rule("error", reason="this provider has no such parameter")
    """Rule for parameters that are not in the table: servers with parameters of their own pass them on."""
    models: tuple[tuple[str, Mapping[str, Rule]], ...] = ()
    """Exceptions by shell pattern of the provider's model name; the first that matches and has the parameter applies.
    """

    def rule_for(self, name: str, model: str) -> Rule:
        """Return the rule for a parameter of a model."""
        for pattern, exceptions in self.models:
            if name in exceptions and fnmatch.fnmatchcase(model, pattern):
                return exceptions[name]
        return self.rules.get(name, self.unknown)

    def apply(self, body: Mapping[str, Any], model: str) -> AppliedParameters:
        """Sort a request's parameters by action. Null counts as absent.

        Raises:
            ProviderError: invalid_request, naming the parameter that is not supported or out of range.

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
        raise invalid_parameter(
            param, f"{param} contradicts another parameter with the same meaning; send only one of them"
        )


def invalid_parameter(param: str, message: str) -> ProviderError:
    """Build the error for a parameter that the provider does not support. No call is made."""
    return ProviderError("invalid_request", message, param=param)
