"""RE2 patterns, matched in linear time."""

from __future__ import annotations

from typing import Any

import re2

_OPTIONS = re2.Options()
_OPTIONS.log_errors = False


def compile_pattern(expression: str) -> Any:  # noqa: ANN401 - RE2 brings no types
    """Compile a regular expression in RE2's syntax.

    Raises:
        ValueError: RE2 does not take it. The message says why.

    """
    try:
        return re2.compile(expression, _OPTIONS)
    except re2.error as error:
        reason = error.args[0].decode() if error.args and isinstance(error.args[0], bytes) else str(error)
        raise ValueError(f"not a regular expression that RE2 takes: {reason}") from None
