from __future__ import annotations

import json
import logging
import re
from collections.abc import Iterator

import pytest
import structlog

from connectors.clickhouse import ClickHouseError
from streams import logging as logs


@pytest.fixture(autouse=True)
def restored() -> Iterator[None]:
    root = logging.getLogger()
    handlers, level = root.handlers[:], root.level
    yield
    root.handlers[:], root.level = handlers, level
    structlog.reset_defaults()
    structlog.contextvars.clear_contextvars()


def lines(capsys: pytest.CaptureFixture[str]) -> list[str]:
    captured = capsys.readouterr()
    assert captured.out == ""
    return captured.err.splitlines()


def test_info_is_not_logged_by_default(capsys: pytest.CaptureFixture[str]) -> None:
    logs.configure()

    structlog.get_logger().info("started")
    logging.getLogger("some.library").info("chatter")

    assert lines(capsys) == []


def test_log_without_a_terminal_is_json(capsys: pytest.CaptureFixture[str]) -> None:
    logs.configure(process="call")

    structlog.get_logger().warning("store failed", rows=3)

    (line,) = map(json.loads, lines(capsys))
    assert (line["event"], line["level"], line["rows"], line["process"]) == ("store failed", "warning", 3, "call")
    assert line["timestamp"].endswith("Z")


def test_warning_of_a_library_is_logged_as_ours(capsys: pytest.CaptureFixture[str]) -> None:
    logs.configure()

    logging.getLogger("some.library").warning("disk %s is slow", 7)

    (line,) = map(json.loads, lines(capsys))
    assert (line["event"], line["logger"], line["level"]) == ("disk 7 is slow", "some.library", "warning")


def test_exception_of_a_library_is_logged_without_its_message(capsys: pytest.CaptureFixture[str]) -> None:
    logs.configure()

    try:
        int("somebody's text")
    except ValueError:
        logging.getLogger("some.library").exception("it failed")

    (line,) = map(json.loads, lines(capsys))
    assert line["error"] == "ValueError"
    assert "test_logging.py" in line["where"]
    assert "somebody's text" not in str(line)


@pytest.mark.parametrize("noisy", ["aiokafka.consumer", "faust", "mode"])
def test_kafka_clients_log_only_at_debug_level(noisy: str, capsys: pytest.CaptureFixture[str]) -> None:
    logs.configure("info")
    logging.getLogger(noisy).error("rebalance, again")
    assert lines(capsys) == []

    logs.configure("debug")
    logging.getLogger(noisy).error("rebalance, again")
    assert len(lines(capsys)) == 1


def test_configured_level_is_logged(capsys: pytest.CaptureFixture[str]) -> None:
    logs.configure("error")

    structlog.get_logger().warning("no")
    structlog.get_logger().error("yes")

    assert [json.loads(line)["event"] for line in lines(capsys)] == ["yes"]


def test_log_on_a_terminal_is_text(capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("sys.stderr.isatty", lambda: True)
    logs.configure()

    structlog.get_logger().warning("store failed", rows=3)

    (line,) = lines(capsys)
    assert "store failed" in line
    assert not line.startswith("{")


COLOUR = re.compile(r"\x1b\[\d*m")
"""The renderer's own, on a terminal."""
FORGED = (
    '7\n{"event":"started","level":"info"}',
    "7\r2026-01-01 [error] all keys leaked",
    "7\x1b[2J\x1b]0;owned\x07",
    "7\x9b31m",
    "7\u2028next\x85next\x0bnext\x0c",
    "\u202ekcatta",
    "7\x00",
)


@pytest.mark.parametrize("is_terminal", [True, False])
@pytest.mark.parametrize("forged", FORGED)
def test_control_characters_are_escaped_on_a_terminal(
    forged: str, is_terminal: bool, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("sys.stderr.isatty", lambda: is_terminal)
    logs.configure(process=forged)

    structlog.get_logger().warning(forged, model=forged, ids=[forged], at={forged: forged}, why=ValueError(forged))
    logging.getLogger("some.library").warning("odd header: %s", forged)

    written = capsys.readouterr().err
    assert written.count("\n") == 2
    assert COLOUR.sub("", written).replace("\n", "").isprintable()


def test_line_break_in_a_value_stays_inside_the_json(capsys: pytest.CaptureFixture[str]) -> None:
    logs.configure()

    structlog.get_logger().warning("refused", model='x"}\n{"event": "forged"}')

    (line,) = map(json.loads, lines(capsys))
    assert line["model"] == 'x"}\n{"event": "forged"}'


def test_stack_summary_has_the_innermost_frame_first_and_no_message() -> None:
    with pytest.raises(ValueError, match="secret") as caught:
        int("secret")

    place = logs.stack_summary(caught.value)

    assert place.startswith("test_logging.py:")
    assert "secret" not in place


def test_only_a_connectors_message_is_logged() -> None:
    ours = logs.describe_error(ClickHouseError("ClickHouse at http://c:8123 does not answer"))
    theirs = logs.describe_error(ValueError("somebody's text"))

    assert ours["reason"] == "ClickHouse at http://c:8123 does not answer"
    assert "somebody's text" not in str(theirs)
    assert theirs["error"] == "ValueError"
