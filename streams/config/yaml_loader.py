"""Strict YAML loader: PyYAML's safe loader, with errors that name the line and quote no value.

A value may be a secret, and PyYAML quotes text in its messages: an unquoted value that begins with ``*``, ``&`` or
``!`` is an alias, an anchor or a tag to YAML, and Python's own errors quote numbers and dates that are invalid.

ruamel.yaml 0.18 does not replace this loader. It accepts duplicate keys in a mapping that has a merge key (``<<``), an
alias that contains itself and a reused anchor; it raises plain Python errors, without a line, for invalid numbers and
for deep nesting; and its messages and warnings quote keys, values and anchors.
"""

from __future__ import annotations

import re
from typing import Any

import yaml
from yaml.constructor import ConstructorError

_QUOTED = re.compile(r" '(?:\\.|[^'\\])*'| \"(?:\\.|[^\"\\])*\"")
_QUOTABLE = re.compile(r" '(?:\W|\\\w|<[a-z ]+>)'")
"""Quotes that may be shown: a punctuation mark, or PyYAML's name of a token."""
_NEEDS_QUOTES = re.compile(r"alias|anchor|tag")
_REWORDED = {
    "second occurrence": "duplicate anchor",
    "but found another document": "a second document begins here",
    "found unconstructable recursive node": "this value contains itself, by an alias",
}
"""Our wording for PyYAML's messages that are incomplete without their context."""
_BOOLEAN = "tag:yaml.org,2002:bool"


def load(text: str) -> object:
    """Return the document's content.

    Raises:
        yaml.YAMLError: the text is not valid YAML, is nested too deeply, has a duplicate key, or has an invalid number,
            date or tag.

    """
    loader = _Loader(text)
    try:
        return loader.get_single_data()
    except RecursionError:
        raise ConstructorError(None, None, "nested too deeply", loader.get_mark()) from None
    finally:
        loader.dispose()


def describe(error: yaml.YAMLError) -> str:
    """Return a sentence with the line, the column and the problem."""
    mark = getattr(error, "problem_mark", None)
    place = f"line {mark.line + 1}, column {mark.column + 1}: " if mark else ""
    problem = str(getattr(error, "problem", None) or "it contains a character that is not allowed")
    message = _REWORDED.get(problem) or _QUOTED.sub(_redact, problem.partition(": ")[0])
    needs_quotes = _NEEDS_QUOTES.search(f"{getattr(error, 'context', '')} {message}")
    hint = "; a value that begins with *, & or ! needs quotes" if needs_quotes else ""
    return f"{place}can't be read as YAML: {message}{hint}"


def _redact(quoted: re.Match[str]) -> str:
    return quoted[0] if _QUOTABLE.fullmatch(quoted[0]) else " …"


class _Loader(yaml.SafeLoader):
    """Refuses duplicate keys, for which YAML would keep the last value, and reads only true and false as booleans.

    The booleans are those of YAML 1.2: ``NO`` is the text, such as a country's code.
    """

    def construct_mapping(self, node: yaml.MappingNode, deep: bool = False) -> dict[Any, Any]:
        first_lines: dict[str, int] = {}
        for name, _ in node.value:
            if not isinstance(name, yaml.ScalarNode) or name.value == "<<":
                continue
            if name.value in first_lines:
                problem = f"duplicate key (first defined at line {first_lines[name.value]})"
                raise ConstructorError(None, None, problem, name.start_mark)
            first_lines[name.value] = name.start_mark.line + 1
        return super().construct_mapping(node, deep)

    def construct_object(self, node: yaml.Node, deep: bool = False) -> Any:  # noqa: ANN401, ARG002 - PyYAML's own
        try:
            return super().construct_object(node, deep=True)  # deep, so that a value that contains itself is found
        except (ArithmeticError, AttributeError, LookupError, ValueError):
            problem = "not a valid number, date or value of its tag"
            raise ConstructorError(None, None, problem, node.start_mark) from None


_Loader.yaml_implicit_resolvers = {
    first: [(tag, pattern) for tag, pattern in resolvers if tag != _BOOLEAN]
    for first, resolvers in yaml.SafeLoader.yaml_implicit_resolvers.items()
}
_Loader.add_implicit_resolver(_BOOLEAN, re.compile(r"^(?:true|True|TRUE|false|False|FALSE)$"), list("tTfF"))
