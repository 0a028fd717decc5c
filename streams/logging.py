"""The program's own log: one line per fact, quiet by default, for people on a terminal and as JSON elsewhere.

Nobody's text and no key is in it: what is logged is named where it is logged, never a whole record or error body.
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
"""Of a trace in a log line: the innermost."""


def stack_summary(error: BaseException) -> str:
    """Where an exception came from, innermost first; not its message, which may hold somebody's text."""
    frames = traceback.extract_tb(error.__traceback__)[-FRAMES:]
    return " < ".join(f"{Path(frame.filename).name}:{frame.lineno} {frame.name}" for frame in reversed(frames))


def describe_error(error: Exception) -> dict[str, str]:
    """What a log line may tell of an exception: the message only if a connector of ours wrote it for people."""
    told = type(error).__module__.startswith("connectors.")
    return {"error": type(error).__name__, **({"reason": str(error)} if told else {"where": stack_summary(error)})}


def _add_exception_location(_logger: object, _method: str, line: EventDict) -> EventDict:
    """Of an exception that a line brings along: its name and place, in the same line."""
    brought = line.pop("exc_info", None)
    error = sys.exception() if brought is True else brought
    if isinstance(error, BaseException):
        line.update(error=type(error).__name__, where=stack_summary(error))
    return line


def _escape_control_characters(_logger: object, _method: str, line: EventDict) -> EventDict:
    """A line of what a caller may have named: nothing in it ends the line or speaks to the terminal.

    JSON escapes all of that by itself. Besides control characters it is whatever is not seen, or turns the text around.
    """
    return {_visible(name): _shown(value) for name, value in line.items()}


def _shown(value: object) -> object:
    return value if value is None or isinstance(value, bool | int | float) else _visible(str(value))


def _visible(text: str) -> str:
    if text.isprintable():
        return text
    return "".join(mark if mark.isprintable() else ascii(mark)[1:-1] for mark in text)


class _StdlibBridge(logging.Handler):
    """What libraries say, in our way."""

    def emit(self, record: logging.LogRecord) -> None:
        """Say it."""
        error = record.exc_info[1] if record.exc_info else None
        level = min(max(record.levelno // 10 * 10, logging.DEBUG), logging.CRITICAL)
        structlog.get_logger().log(level, record.getMessage(), logger=record.name, exc_info=error)


def configure(level: str = "warning", *, process: str = "") -> None:
    """Say what is shown: ours from this level on, with the name of this process on each line."""
    number = logging.getLevelNamesMapping()[level.upper()]
    for_people = [_escape_control_characters, structlog.dev.ConsoleRenderer()]
    structlog.contextvars.bind_contextvars(**({"process": process} if process else {}))
    structlog.configure(
        processors=[
            structlog.contextvars.merge_contextvars,
            structlog.processors.add_log_level,
            structlog.processors.TimeStamper(fmt="iso", utc=True),
            _add_exception_location,
            *(for_people if sys.stderr.isatty() else [structlog.processors.JSONRenderer()]),
        ],
        wrapper_class=structlog.make_filtering_bound_logger(number),
        logger_factory=structlog.PrintLoggerFactory(sys.stderr),
    )
    logging.basicConfig(handlers=[_StdlibBridge()], level=max(number, logging.WARNING), force=True)
    for noisy in ("aiokafka", "faust", "mode", "asyncio"):
        logging.getLogger(noisy).setLevel(logging.CRITICAL if number > logging.DEBUG else logging.DEBUG)
