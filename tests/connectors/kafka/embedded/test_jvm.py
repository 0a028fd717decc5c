from __future__ import annotations

from pathlib import Path

import pytest

from connectors.kafka.embedded.jvm import last_error


@pytest.mark.parametrize(
    ("log", "reason"),
    [
        ("t [main] WARN a - first\nt [main] ERROR a.B - no room\n\tat a.B(C.java)\n", "a.B - no room"),
        ("t [main] ERROR a - one\nt [main] ERROR a - two\nt [main] WARN a - bye\n", "a - two"),
        ("t [main] ERROR a - fatal\njava.lang.RuntimeException: why\n\tat a.B\n", "java.lang.RuntimeException: why"),
        ("t [main] ERROR a - fatal\na.AException: what\n\tat a.B\nCaused by: a.CException: why\n", "a.CException: why"),
        ("Error: no such class\nCaused by: a.BException: kafka.Kafka\n", "a.BException: kafka.Kafka"),
        ("Error: no such class\nlast words\n", "Error: no such class"),
        ("\nlast words\n\n", "last words"),
        ("", "the log is empty"),
    ],
)
def test_last_error_is_the_cause_of_the_last_error_or_the_last_line(tmp_path: Path, log: str, reason: str) -> None:
    (tmp_path / "kafka.log").write_text(log)

    assert last_error(tmp_path / "kafka.log") == reason


def test_missing_log_counts_as_empty(tmp_path: Path) -> None:
    assert last_error(tmp_path / "kafka.log") == "the log is empty"
