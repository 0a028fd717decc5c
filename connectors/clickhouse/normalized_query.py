"""A query in the engine's own rendering of it: one statement on one line, without comments, its strings quoted one way.

Only the engine knows what it will read, so whoever wants to know what a query is asks it first, and then runs the
rendering: what is looked for can't hide in another spelling.
"""

from __future__ import annotations

import re

RENDER = "SELECT formatQuerySingleLine({sql:String})"
"""Fails with a syntax error of the query, which ``unwrapped`` frees of this one."""

OUTFILE_REFUSED = "INTO OUTFILE would write to this machine's files"

_STRING = re.compile(r"'(?:\\.|[^'\\])*'", re.DOTALL)
_OUTFILE = re.compile(r"\bINTO\s+OUTFILE\b", re.IGNORECASE)
_FORMAT = re.compile(r"\bFORMAT (?:(\w+)|`(\w+)`)(?: SETTINGS .*)?$")
_WRAPPING = re.compile(r"\.? ?: In scope SELECT formatQuerySingleLine\(.*\)(?=\. \()", re.DOTALL)


def without_strings(rendered: str) -> str:
    """The query with its strings emptied."""
    return _STRING.sub("''", rendered)


def has_outfile(rendered: str) -> bool:
    """Whether its answer would go to a file instead of to us. No right and no ``readonly`` forbids that in process."""
    return _OUTFILE.search(without_strings(rendered)) is not None


def format_of(rendered: str) -> str | None:
    """The format that the query itself names. The engine puts some in backticks, as it does with words of its own."""
    found = _FORMAT.search(without_strings(rendered))
    return found and (found[1] or found[2])


def strip_wrapper(message: str) -> str:
    """A syntax error without the query that rendered the caller's."""
    return _WRAPPING.sub("", message)
