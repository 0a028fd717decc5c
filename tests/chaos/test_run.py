"""The short version of `make chaos`: three brokers, two of each stage, a worker and a broker killed under load."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.chaos import report
from tests.chaos.run import run

pytestmark = [pytest.mark.flow, pytest.mark.timeout(500)]


async def test_what_is_accepted_while_a_worker_and_a_broker_die_has_its_end_its_reply_and_its_row(
    tmp_path: Path,
) -> None:
    result = await run(tmp_path, ["kill-call", "kill-leader"], rate=10, seed=1, calm_s=3.0, say=print)

    assert result.ledger.holds, report.as_json(result)
    assert [one.fault for one in result.recoveries] == ["kill-call", "kill-leader"]
    assert all(one.first_s is not None for one in result.recoveries)
    assert result.ledger.counts["requests answered"] > 0
