"""What a front can't say on the log."""

from __future__ import annotations

_LONGEST = 40


class UntranslatableError(ValueError):
    """A request that can't be said in the shape of the log: its caller is told which part, by its API's own name."""

    def __init__(self, param: str, message: str) -> None:
        super().__init__(message)
        self.param = param
        self.message = message


def invalid(where: str, why: str) -> UntranslatableError:
    """Name the part that is at fault."""
    return UntranslatableError(where, f"{where} {why}")


def safe_name(said: object) -> str:
    """A name as its caller wrote it, if it looks like a name: a refusal is on the record, and holds nobody's text."""
    is_name = isinstance(said, str) and len(said) <= _LONGEST and said.isidentifier()
    return str(said) if is_name else "unknown"
