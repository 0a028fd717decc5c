"""What a look finds: that all is well, something to know, or something that is wrong."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from typing import Literal

from schemas.errors import PlainError

Level = Literal["ok", "warn", "BAD"]

_SAYS_AT = 25
"""The column of what a finding says."""


class Wrong(PlainError):  # noqa: N818 - it is a finding, no error
    """Something is not as it should be; the message says what, and what to do."""


class Worth(PlainError):  # noqa: N818 - the same
    """Something is worth knowing, and nothing has to be done at once."""


@dataclass(frozen=True, slots=True)
class Finding:
    """What one look found."""

    what: str
    level: Level
    says: str

    @property
    def ok(self) -> bool:
        """Whether nobody has to do anything now."""
        return self.level != "BAD"

    def __str__(self) -> str:
        says = self.says.replace("\n", "\n" + " " * _SAYS_AT)
        return f"{self.level:<4} {self.what:<19} {says}"

    def as_dict(self) -> dict[str, object]:
        """For JSON."""
        return {**asdict(self), "ok": self.ok}
