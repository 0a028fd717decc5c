"""Error of a request that can't be translated into a chat completion request."""

from __future__ import annotations

_MAX_NAME_CHARACTERS = 40


class UntranslatableError(ValueError):
    """A request without an equivalent chat completion request. ``param`` is the name in the client's API."""

    def __init__(self, param: str, message: str) -> None:
        super().__init__(message)
        self.param = param
        self.message = message


def invalid(path: str, reason: str) -> UntranslatableError:
    """Return the error of an invalid parameter."""
    return UntranslatableError(path, f"{path} {reason}")


def safe_name(name: object) -> str:
    """Return a name from a request, or "unknown" if it is no identifier: errors are recorded without private text."""
    is_name = isinstance(name, str) and len(name) <= _MAX_NAME_CHARACTERS and name.isidentifier()
    return str(name) if is_name else "unknown"
