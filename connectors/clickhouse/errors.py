"""ClickHouse errors as one-sentence messages."""

from __future__ import annotations

import re

from clickhouse_connect.driver.exceptions import Error, OperationalError

from connectors.clickhouse.normalized_query import strip_wrapper
from schemas.errors import UserError

_UNAVAILABLE = frozenset({75, 76, 159, 202, 203, 209, 210, 236, 241, 242, 243, 252, 279, 285, 319, 394, 439, 999})
"""Error codes after which a retry may succeed: files that cannot be written, timeouts, too little memory, disk or
threads, too many parts or queries, a readonly replica, a lost Keeper."""


_DRIVER_TEXT = re.compile(r"^.*?(?=Code: )| \(for url [^)]*\)$")
"""Text that the driver puts around the engine's message."""
_REPEATED_CODE = re.compile(r"Code: (\d+)\. DB::Exception: (?=Code: \1\. DB::Exception: )")
_REPEATED_NAME = re.compile(r"( \([A-Z0-9_]+\))(?:(?: \(version [^()]*(?:\([^()]*\))?\)\.?)?\1)+")
"""An error that passes several layers of the engine has its code and its name once per layer."""


class ClickHouseError(UserError):
    """ClickHouse refused or could not run an operation. The message is one sentence without row data or password."""

    def __init__(self, message: str, *, unavailable: bool = False, code: int = 0) -> None:
        super().__init__(message)
        self.unavailable = unavailable
        """True if a retry may succeed; False if ClickHouse refused the operation."""
        self.code = code
        """ClickHouse's error code; 0 if there is none."""


class ErrorTranslation:
    """Context manager that raises every error of the driver as a ``ClickHouseError``.

    The engine quotes input that it cannot parse. For an insert that is row data, so the message has only the code and
    the name of the error (``reveal=False``).
    """

    def __init__(self, address: str, operation: str, secret: str, *, reveal: bool) -> None:
        self._address, self._operation, self._secret, self._reveal = address, operation, secret, reveal

    def __enter__(self) -> None:
        return

    def __exit__(self, kind: object, error: BaseException | None, trace: object) -> None:
        if isinstance(error, Exception) and not isinstance(error, ClickHouseError):
            raise self._translate(error) from None

    def _translate(self, error: Exception) -> ClickHouseError:
        code = getattr(error, "code", None) or 0
        if isinstance(error, OSError) and error.strerror and "://" not in self._address:
            return ClickHouseError(f"{self._operation} at {self._address} failed: {error.strerror}", unavailable=True)
        if not code and isinstance(error, OperationalError | OSError):
            return ClickHouseError(f"ClickHouse at {self._address} can't be reached: is it running?", unavailable=True)
        name = getattr(error, "name", None) or type(error).__name__
        detail = f"code {code}, {name}" if code else name
        if self._reveal and isinstance(error, Error):
            message = strip_wrapper(without_repeats(_DRIVER_TEXT.sub("", " ".join(str(error).split()))))
            detail = message.replace(self._secret, "[hidden]") if self._secret else message
        return ClickHouseError(
            f"ClickHouse refused {self._operation}: {detail}", unavailable=code in _UNAVAILABLE, code=code
        )


def without_repeats(message: str) -> str:
    """Return the engine's message with its code and its name once each."""
    return _REPEATED_NAME.sub(r"\1", _REPEATED_CODE.sub("", message))
