"""Finding of a check: ok, warn or BAD, with one sentence."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from schemas.errors import UserError

Level = Literal["ok", "warn", "BAD"]

_MESSAGE_COLUMN = 25
"""Column at which the message starts."""


class CheckFailed(UserError):  # noqa: N818 - a finding, not an error
    """A failed check. The message says what is wrong and what to do."""


class CheckWarning(UserError):  # noqa: N818 - the same
    """A warning: no action is needed now."""


@dataclass(frozen=True, slots=True)
class Finding:
    """Result of one check."""

    name: str
    level: Level
    message: str

    @property
    def ok(self) -> bool:
        """Return whether no action is needed now."""
        return self.level != "BAD"

    def __str__(self) -> str:
        message = self.message.replace("\n", "\n" + " " * _MESSAGE_COLUMN)
        return f"{self.level:<4} {self.name:<19} {message}"

    def as_dict(self) -> dict[str, object]:
        """Return the finding for JSON."""
        return {"check": self.name, "status": self.level, "message": self.message, "ok": self.ok}
