"""What ClickHouse refuses, or can't do for now, in one sentence of ours."""

from __future__ import annotations

import re

from clickhouse_connect.driver.exceptions import Error, OperationalError

from connectors.clickhouse.normalized_query import strip_wrapper
from schemas.errors import UserError

_PASSING = frozenset({75, 76, 159, 202, 203, 209, 210, 236, 241, 242, 243, 252, 279, 285, 319, 394, 439, 999})
"""Codes of an engine that may take the same later: files that can't be written, timeouts, no memory, disk or threads,
too many parts or queries, a replica that is read-only, a lost Keeper."""


_AROUND = re.compile(r"^.*?(?=Code: )| \(for url [^)]*\)$")
"""What the driver puts around the engine's own words."""
_REPEATED_CODE = re.compile(r"Code: (\d+)\. DB::Exception: (?=Code: \1\. DB::Exception: )")
_REPEATED_NAME = re.compile(r"( \([A-Z0-9_]+\))(?:(?: \(version [^()]*(?:\([^()]*\))?\)\.?)?\1)+")
"""An error that passes several layers of the engine has its code and its name once per layer."""


class ClickHouseError(UserError):
    """ClickHouse did not do it. The message is one sentence, without anybody's data and without the password."""

    def __init__(self, message: str, *, unavailable: bool = False, code: int = 0) -> None:
        super().__init__(message)
        self.unavailable = unavailable
        """True: the same may well work later. False: it was understood and refused."""
        self.code = code
        """The engine's own number for it; 0 if it gave none."""


class Translated:
    """Turns whatever the driver raises into a ``ClickHouseError``.

    The engine quotes what it can't read: of an insert that is somebody's data, so only its number and name are told.
    """

    def __init__(self, place: str, what: str, secret: str, *, reveal: bool) -> None:
        self._place, self._what, self._secret, self._reveal = place, what, secret, reveal

    def __enter__(self) -> None:
        return

    def __exit__(self, kind: object, error: BaseException | None, trace: object) -> None:
        if isinstance(error, Exception) and not isinstance(error, ClickHouseError):
            raise self._sentence(error) from None

    def _sentence(self, error: Exception) -> ClickHouseError:
        code = getattr(error, "code", None) or 0
        if isinstance(error, OSError) and error.strerror and "://" not in self._place:
            return ClickHouseError(f"{self._what} at {self._place} failed: {error.strerror}", unavailable=True)
        if not code and isinstance(error, OperationalError | OSError):
            return ClickHouseError(f"ClickHouse at {self._place} can't be reached: is it running?", unavailable=True)
        name = getattr(error, "name", None) or type(error).__name__
        detail = f"code {code}, {name}" if code else name
        if self._reveal and isinstance(error, Error):
            told = strip_wrapper(without_repeats(_AROUND.sub("", " ".join(str(error).split()))))
            detail = told.replace(self._secret, "[hidden]") if self._secret else told
        return ClickHouseError(f"ClickHouse refused {self._what}: {detail}", unavailable=code in _PASSING, code=code)


def without_repeats(message: str) -> str:
    """Return the engine's message with its code and its name once each."""
    return _REPEATED_NAME.sub(r"\1", _REPEATED_CODE.sub("", message))
