"""Normalized queries: formatted by the engine, one statement on one line, without comments, with uniform quotes.

A check reads the normalized query, and that query is then run. A keyword cannot hide from the check in another
spelling, because the engine parsed it.
"""

from __future__ import annotations

import re

RENDER = "SELECT formatQuerySingleLine({sql:String})"
"""Fails with the query's own syntax error; ``strip_wrapper`` removes this query from its message."""

OUTFILE_REFUSED = "INTO OUTFILE would write to this machine's files"

_QUOTED = re.compile(r"'(?:\\.|[^'\\])*'|`(?:\\.|[^`\\])*`|\"(?:\\.|[^\"\\])*\"", re.DOTALL)
_PLAIN_NAME = re.compile(r"[`\"]\w+[`\"]")
_OUTFILE = re.compile(r"\bINTO\s+OUTFILE\b", re.IGNORECASE)
_FORMAT = re.compile(r"\bFORMAT (?:(\w+)|`(\w+)`)(?: SETTINGS .*)?$")
_QUOTED_OR_FORMAT = re.compile(rf"{_QUOTED.pattern}|(?P<format> FORMAT (?:\w+|`\w+`)(?: SETTINGS .*)?$)", re.DOTALL)
_WRAPPING = re.compile(r"\.? ?: In scope SELECT formatQuerySingleLine\(.*\)(?=\. \()", re.DOTALL)


def without_strings(rendered: str) -> str:
    """Return the query with all string literals empty, and placeholders for quoted names that are more than a word.

    All three kinds of quotes are read in one pass, so that a quote inside quotes of another kind begins nothing.
    """
    return _QUOTED.sub(_empty, rendered)


def without_format(rendered: str) -> str:
    """Return the query without the format that it names, and without settings after that."""
    found = _QUOTED_OR_FORMAT.search(rendered)
    while found is not None and not found["format"]:
        found = _QUOTED_OR_FORMAT.search(rendered, found.end())
    return rendered[: found.start()] if found else rendered


def has_outfile(rendered: str) -> bool:
    """Return whether the query writes its result to a file. In process, neither grants nor ``readonly`` forbid that."""
    return _OUTFILE.search(without_strings(rendered)) is not None


def format_of(rendered: str) -> str | None:
    """Return the format that the query names. The engine puts some names in backticks, as it does with keywords."""
    found = _FORMAT.search(without_strings(rendered))
    return found and (found[1] or found[2])


def strip_wrapper(message: str) -> str:
    """Return a syntax error's message without the query that formatted the caller's query."""
    return _WRAPPING.sub("", message)


def _empty(quoted: re.Match[str]) -> str:
    text = quoted[0]
    if text[0] == "'":
        return "''"
    return text if _PLAIN_NAME.fullmatch(text) else f"{text[0]}_{text[0]}"
