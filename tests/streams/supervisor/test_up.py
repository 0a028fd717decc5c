from __future__ import annotations

import io

from rich.console import Console

from streams.supervisor import up

DOWNLOADING = [f"downloading Kafka (46 MB, once): {number} MB, {number}.jar" for number in range(45)]


def lines(*, every_s: float) -> list[str]:
    """Return what is printed without a terminal if a message comes every ``every_s`` seconds."""
    file = io.StringIO()
    now_s = 0.0
    with up._progress(Console(file=file, force_terminal=False), lambda: now_s) as progress:
        for message in (*DOWNLOADING, "starting Kafka", "creating topics"):
            now_s += every_s
            progress(message)
    return file.getvalue().splitlines()


def test_progress_without_a_terminal_prints_one_line_per_step() -> None:
    assert lines(every_s=0.1) == [f"sluice: {DOWNLOADING[0]}", "sluice: starting Kafka", "sluice: creating topics"]


def test_progress_of_a_slow_step_is_printed_every_ten_seconds() -> None:
    printed = lines(every_s=1.0)

    assert printed[:3] == [f"sluice: {DOWNLOADING[number]}" for number in (0, 10, 20)]
    assert len(printed) == 5 + 2
