"""Rendering of the providers' parameter rules as Markdown: a table per operation, and notes for the rest."""

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
"""Model name that only a pattern for all names matches."""

Tables = Mapping[str, ParameterRules]
"""Rules by the names of the kinds that share them, as in a table's heading."""


def render_tables() -> str:
    """Render everything as Markdown."""
    return "\n".join(line for operation in HEADINGS for line in _section(operation))


def rules_of_kind(kind: str) -> Mapping[Operation, ParameterRules]:
    """Return the rules of a kind, from its module or the package's parameters module. The simulated kind has none."""
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
    """Return the rules of an operation; kinds with equal rules share an entry."""
    groups: dict[str, list[str]] = {}
    found: dict[str, ParameterRules] = {}
    for kind in sorted(KINDS):
        table = rules_of_kind(kind).get(operation)
        if table is not None:
            same = repr((sorted(table.rules.items()), table.unknown.action, table.models))
            groups.setdefault(same, []).append(f"`{kind}`")
            found[same] = table
    return {", ".join(kinds): found[same] for same, kinds in groups.items()}


def openai_parameters() -> dict[Operation, list[str]]:
    """Return OpenAI's parameters by operation. Other parameters are in the notes."""
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
    """Render a rule as a short phrase."""
    if rule.action == "error" and rule.default:
        return f"only `{orjson.dumps(rule.default).decode()}`"
    text = WORDS[rule.action].format(to=f"`{rule.to}`")
    if rule.action == "transform" and rule.to:
        text += f" as `{rule.to}`"
    return f"{text}, {_range(rule)}" if _range(rule) else text


def _range(rule: Rule) -> str:
    low, high = (None if end is None else f"{end:.12g}" for end in (rule.low, rule.high))
    if low is not None and high is not None:
        return f"{low} to {high}"
    return f"{low} or more" if low is not None else f"{high} or less" if high is not None else ""


def render_notes(table: ParameterRules, known: Iterable[str]) -> Iterator[str]:
    """Render what the table cannot show: parameters beyond OpenAI's, reasons, and exceptions by model."""
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
    """Group parameters with the same rule and reason into one sentence."""
    groups: dict[tuple[str, str], list[str]] = {}
    for name, rule in sorted(rules.items()):
        groups.setdefault((render_rule(rule), rule.reason), []).append(f"`{name}`")
    for (action, reason), names in groups.items():
        yield f"{', '.join(names)} {action}" + (f" ({reason})" if reason else "")


def _group_by_model(table: ParameterRules) -> Iterator[tuple[str, Mapping[str, Rule]]]:
    """Group the exceptions by equal rules, with all their patterns."""
    groups: dict[str, list[str]] = {}
    found: dict[str, Mapping[str, Rule]] = {}
    for pattern, rules in table.models:
        groups.setdefault(repr(rules), []).append(f"`{pattern}`")
        found[repr(rules)] = rules
    yield from ((", ".join(patterns), found[same]) for same, patterns in groups.items())
