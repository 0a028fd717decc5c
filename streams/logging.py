"""Logging of the program: one line per event, as text on a terminal and as JSON elsewhere; warnings by default.

No caller's text and no key is logged: each call names the fields it logs, never a whole record or error body.
"""

from __future__ import annotations

import logging
import sys
import traceback
from pathlib import Path

import structlog
from structlog.typing import EventDict

LEVELS = ("debug", "info", "warning", "error")

FRAMES = 6
"""Innermost frames of a stack trace that a log line contains."""


def stack_summary(error: BaseException) -> str:
    """Return an exception's stack, innermost frame first, without its message, which may contain a caller's text."""
    frames = traceback.extract_tb(error.__traceback__)[-FRAMES:]
    return " < ".join(f"{Path(frame.filename).name}:{frame.lineno} {frame.name}" for frame in reversed(frames))


def describe_error(error: Exception) -> dict[str, str]:
    """Return the fields that describe an exception; its message only if one of our connectors wrote it."""
    is_ours = type(error).__module__.startswith("connectors.")
    return {"error": type(error).__name__, **({"reason": str(error)} if is_ours else {"where": stack_summary(error)})}


def _add_exception_location(_logger: object, _method: str, line: EventDict) -> EventDict:
    """Replace a line's exception by its class and its stack, in the same line."""
    exc_info = line.pop("exc_info", None)
    error = sys.exception() if exc_info is True else exc_info
    if isinstance(error, BaseException):
        line.update(error=type(error).__name__, where=stack_summary(error))
    return line


def _escape_control_characters(_logger: object, _method: str, line: EventDict) -> EventDict:
    """Escape characters that could end the line or control the terminal, because a caller may have chosen the text.

    These are control characters, invisible ones, and those that change the direction of text. JSON escapes them itself.
    """
    return {_escape(name): _loggable(value) for name, value in line.items()}


def _loggable(value: object) -> object:
    return value if value is None or isinstance(value, bool | int | float) else _escape(str(value))


def _escape(text: str) -> str:
    if text.isprintable():
        return text
    return "".join(char if char.isprintable() else ascii(char)[1:-1] for char in text)


class _StdlibBridge(logging.Handler):
    """Handler that writes the records of libraries' loggers through structlog."""

    def emit(self, record: logging.LogRecord) -> None:
        """Write one record."""
        error = record.exc_info[1] if record.exc_info else None
        level = min(max(record.levelno // 10 * 10, logging.DEBUG), logging.CRITICAL)
        structlog.get_logger().log(level, record.getMessage(), logger=record.name, exc_info=error)


def configure(level: str = "warning", *, process: str = "") -> None:
    """Configure the log: our lines from this level on, with the name of this process, and libraries' warnings."""
    number = logging.getLevelNamesMapping()[level.upper()]
    text = [_escape_control_characters, structlog.dev.ConsoleRenderer()]
    structlog.contextvars.bind_contextvars(**({"process": process} if process else {}))
    structlog.configure(
        processors=[
            structlog.contextvars.merge_contextvars,
            structlog.processors.add_log_level,
            structlog.processors.TimeStamper(fmt="iso", utc=True),
            _add_exception_location,
            *(text if sys.stderr.isatty() else [structlog.processors.JSONRenderer()]),
        ],
        wrapper_class=structlog.make_filtering_bound_logger(number),
        logger_factory=structlog.PrintLoggerFactory(sys.stderr),
    )
    logging.basicConfig(handlers=[_StdlibBridge()], level=max(number, logging.WARNING), force=True)
    for noisy in ("aiokafka", "faust", "mode", "asyncio"):
        logging.getLogger(noisy).setLevel(logging.CRITICAL if number > logging.DEBUG else logging.DEBUG)
