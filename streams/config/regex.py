"""RE2 patterns, which match in linear time."""

from __future__ import annotations

from typing import Any

import re2

_OPTIONS = re2.Options()
_OPTIONS.log_errors = False


def compile_pattern(expression: str) -> Any:  # noqa: ANN401 - RE2 has no types
    """Compile a regular expression in RE2 syntax.

    Raises:
        ValueError: the pattern is invalid. The message says why.

    """
    try:
        return re2.compile(expression, _OPTIONS)
    except re2.error as error:
        reason = error.args[0].decode() if error.args and isinstance(error.args[0], bytes) else str(error)
        raise ValueError(f"invalid RE2 pattern: {reason}") from None
