"""What a look finds: that all is well, something to know, or something that is wrong."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from schemas.errors import UserError

Level = Literal["ok", "warn", "BAD"]

_SAYS_AT = 25
"""The column of what a finding says."""


class CheckFailed(UserError):  # noqa: N818 - it is a finding, no error
    """Something is not as it should be; the message says what, and what to do."""


class CheckWarning(UserError):  # noqa: N818 - the same
    """Something is worth knowing, and nothing has to be done at once."""


@dataclass(frozen=True, slots=True)
class Finding:
    """What one look found."""

    name: str
    level: Level
    message: str

    @property
    def ok(self) -> bool:
        """Whether nobody has to do anything now."""
        return self.level != "BAD"

    def __str__(self) -> str:
        says = self.message.replace("\n", "\n" + " " * _SAYS_AT)
        return f"{self.level:<4} {self.name:<19} {says}"

    def as_dict(self) -> dict[str, object]:
        """For JSON."""
        return {"check": self.name, "status": self.level, "message": self.message, "ok": self.ok}
