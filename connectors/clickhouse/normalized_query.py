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


def bare(rendered: str) -> str:
    """The query with its strings emptied."""
    return _STRING.sub("''", rendered)


def writes_a_file(rendered: str) -> bool:
    """Whether its answer would go to a file instead of to us. No right and no ``readonly`` forbids that in process."""
    return _OUTFILE.search(bare(rendered)) is not None


def named_format(rendered: str) -> str | None:
    """The format that the query itself names. The engine puts some in backticks, as it does with words of its own."""
    found = _FORMAT.search(bare(rendered))
    return found and (found[1] or found[2])


def unwrapped(message: str) -> str:
    """A syntax error without the query that rendered the caller's."""
    return _WRAPPING.sub("", message)
