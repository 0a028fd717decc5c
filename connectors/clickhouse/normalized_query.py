"""Normalized queries: formatted by the engine, one statement on one line, without comments, with uniform quotes.

A check reads the normalized query, and that query is then run. A keyword cannot hide from the check in another
spelling, because the engine parsed it.
"""

from __future__ import annotations

import re

RENDER = "SELECT formatQuerySingleLine({sql:String})"
"""Fails with the query's own syntax error; ``strip_wrapper`` removes this query from its message."""

OUTFILE_REFUSED = "INTO OUTFILE would write to this machine's files"

_STRING = re.compile(r"'(?:\\.|[^'\\])*'", re.DOTALL)
_OUTFILE = re.compile(r"\bINTO\s+OUTFILE\b", re.IGNORECASE)
_FORMAT = re.compile(r"\bFORMAT (?:(\w+)|`(\w+)`)(?: SETTINGS .*)?$")
_WRAPPING = re.compile(r"\.? ?: In scope SELECT formatQuerySingleLine\(.*\)(?=\. \()", re.DOTALL)


def without_strings(rendered: str) -> str:
    """Return the query with all string literals empty."""
    return _STRING.sub("''", rendered)


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
