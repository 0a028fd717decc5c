"""The providers' tables of parameters, as a page for people: a table per operation, and notes on what it can't hold."""

from __future__ import annotations

import importlib
import importlib.util
from collections.abc import Iterable, Iterator, Mapping

import orjson

from connectors.providers import KINDS
from connectors.providers.parameters import ParameterRules, Rule
from schemas.events.vocabulary import Operation

HEADINGS: dict[Operation, str] = {"chat": "Chat", "embeddings": "Embeddings"}
WORDS = {"pass": "as is", "rename": "as {to}", "transform": "rewritten", "drop": "dropped", "error": "refused"}
UNKNOWN = {
    "pass": "Any other parameter is passed on.",
    "drop": "Any other parameter is dropped.",
    "error": "Any other parameter is refused.",
}

NO_MODEL = ""
"""Of no family: only a pattern that takes every name takes this one."""

Tables = Mapping[str, ParameterRules]
"""By the names of the kinds that have the same, as a heading names them."""


def render_tables() -> str:
    """All of it, in Markdown."""
    return "\n".join(line for operation in HEADINGS for line in _section(operation))


def rules_of_kind(kind: str) -> Mapping[Operation, ParameterRules]:
    """The tables of a kind: in its own file, or in the one beside it. The simulated kind has none."""
    module = KINDS[kind].__module__
    for name in (module, f"{module.rpartition('.')[0]}.parameters"):
        if importlib.util.find_spec(name):
            found: Mapping[Operation, ParameterRules] | None = getattr(
                importlib.import_module(name), "PARAMETERS", None
            )
            if found is not None:
                return found
    return {}


def distinct_tables(operation: Operation) -> Tables:
    """The tables of an operation, each once."""
    alike: dict[str, list[str]] = {}
    found: dict[str, ParameterRules] = {}
    for kind in sorted(KINDS):
        table = rules_of_kind(kind).get(operation)
        if table is not None:
            same = repr((sorted(table.rules.items()), table.unknown.action, table.models))
            alike.setdefault(same, []).append(f"`{kind}`")
            found[same] = table
    return {", ".join(kinds): found[same] for same, kinds in alike.items()}


def openai_parameters() -> dict[Operation, list[str]]:
    """OpenAI's own parameters. Who takes others has them among its notes."""
    return {operation: sorted(table.rules) for operation, table in rules_of_kind("openai").items()}


def _section(operation: Operation) -> Iterator[str]:
    columns, names = distinct_tables(operation), openai_parameters()[operation]
    yield from (f"### {HEADINGS[operation]}", "")
    yield f"| | {' | '.join(columns)} |"
    yield f"| --- |{' --- |' * len(columns)}"
    for name in names:
        yield f"| `{name}` | {' | '.join(render_rule(table.rule_for(name, NO_MODEL)) for table in columns.values())} |"
    yield ""
    for kinds, table in columns.items():
        yield from (f"{kinds}:", "", *(f"- {note}" for note in render_notes(table, names)), "")


def render_rule(rule: Rule) -> str:
    """What becomes of a parameter, in a few words."""
    if rule.action == "error" and rule.default:
        return f"only `{orjson.dumps(rule.default).decode()}`"
    said = WORDS[rule.action].format(to=f"`{rule.to}`")
    if rule.action == "transform" and rule.to:
        said += f" as `{rule.to}`"
    return f"{said}, {_range(rule)}" if _range(rule) else said


def _range(rule: Rule) -> str:
    low, high = (None if end is None else f"{end:.12g}" for end in (rule.low, rule.high))
    if low is not None and high is not None:
        return f"{low} to {high}"
    return f"{low} or more" if low is not None else f"{high} or less" if high is not None else ""


def render_notes(table: ParameterRules, known: Iterable[str]) -> Iterator[str]:
    """What the table can't hold: parameters that OpenAI has not, reasons, and exceptions by model."""
    own = {name: rule for name, rule in table.rules.items() if name not in known and not rule.reason}
    if own:
        yield f"Beyond OpenAI's: {'; '.join(_group_by_reason(own))}."
    yield from (
        f"{reason}." for reason in _group_by_reason({name: rule for name, rule in table.rules.items() if rule.reason})
    )
    for patterns, rules in _group_by_model(table):
        yield f"For {patterns}: {'; '.join(_group_by_reason(rules))}."
    yield UNKNOWN[table.unknown.action]


def _group_by_reason(rules: Mapping[str, Rule]) -> Iterator[str]:
    """Parameters that fare alike for the same reason, in one sentence."""
    alike: dict[tuple[str, str], list[str]] = {}
    for name, rule in sorted(rules.items()):
        alike.setdefault((render_rule(rule), rule.reason), []).append(f"`{name}`")
    for (said, why), names in alike.items():
        yield f"{', '.join(names)} {said}" + (f" ({why})" if why else "")


def _group_by_model(table: ParameterRules) -> Iterator[tuple[str, Mapping[str, Rule]]]:
    """The exceptions, with all the patterns that have the same ones."""
    alike: dict[str, list[str]] = {}
    found: dict[str, Mapping[str, Rule]] = {}
    for pattern, rules in table.models:
        alike.setdefault(repr(rules), []).append(f"`{pattern}`")
        found[repr(rules)] = rules
    yield from ((", ".join(patterns), found[same]) for same, patterns in alike.items())
