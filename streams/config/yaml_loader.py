"""YAML, read strictly, and its faults told with their place and without a value, which may be a secret.

To YAML an unquoted key that begins with ``*``, ``&`` or ``!`` is an alias, an anchor or a tag, and PyYAML quotes it if
it can't make sense of it; a number or a date that can't be is quoted by Python's own error.
"""

from __future__ import annotations

import re
from typing import Any

import yaml
from yaml.constructor import ConstructorError

_QUOTED = re.compile(r" '(?:\\.|[^'\\])*'| \"(?:\\.|[^\"\\])*\"")
_OWN = re.compile(r" '(?:\W|\\\w|<[a-z ]+>)'")
"""What may be quoted: a sign, or PyYAML's name for one."""
_MARKED = re.compile(r"alias|anchor|tag")
_PLAIN = {
    "second occurrence": "an anchor stands here for the second time",
    "but found another document": "a second document begins here",
    "found unconstructable recursive node": "what stands here holds itself, by an alias",
}
"""What PyYAML says at the second of two places, where it tells the rest at the first, and in words of its own."""


def load(text: str) -> object:
    """What the text says.

    Raises:
        yaml.YAMLError: it is no YAML, too deeply nested, has a name twice, or a value that is no such thing as it says.

    """
    try:
        return yaml.load(text, _Loader)  # noqa: S506 - a safe one, see below
    except RecursionError:
        raise ConstructorError(None, None, "it is nested too deeply", None) from None


def describe(error: yaml.YAMLError) -> str:
    """What is wrong and where."""
    mark = getattr(error, "problem_mark", None)
    place = f"line {mark.line + 1}, column {mark.column + 1}: " if mark else ""
    problem = str(getattr(error, "problem", None) or "it holds a character that can not be there")
    said = _PLAIN.get(problem) or _QUOTED.sub(_shown, problem.partition(": ")[0])
    marked = _MARKED.search(f"{getattr(error, 'context', '')} {said}")
    hint = "; a value that begins with *, & or ! needs quotes" if marked else ""
    return f"{place}can't be read as YAML: {said}{hint}"


def _shown(quoted: re.Match[str]) -> str:
    return quoted[0] if _OWN.fullmatch(quoted[0]) else " …"


class _Loader(yaml.SafeLoader):
    """Refuses a name that stands twice: YAML would let the last win, and a policy would silently be gone."""

    def construct_mapping(self, node: yaml.MappingNode, deep: bool = False) -> dict[Any, Any]:
        first: dict[str, int] = {}
        for name, _ in node.value:
            if not isinstance(name, yaml.ScalarNode) or name.value == "<<":
                continue
            if name.value in first:
                said = f"this name stands here for the second time, first in line {first[name.value]}"
                raise ConstructorError(None, None, said, name.start_mark)
            first[name.value] = name.start_mark.line + 1
        return super().construct_mapping(node, deep)

    def construct_object(self, node: yaml.Node, deep: bool = False) -> Any:  # noqa: ANN401, ARG002 - PyYAML's own
        try:
            return super().construct_object(node, deep=True)  # at once: so what holds itself is found out
        except (ArithmeticError, AttributeError, LookupError, ValueError):
            said = "this is no such number, date or word as it looks like, or as its tag says"
            raise ConstructorError(None, None, said, node.start_mark) from None
