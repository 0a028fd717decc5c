"""The short version of `make chaos`: three brokers, two workers of each stage, one worker and one broker killed."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.chaos.run import run
from tests.chaos.verification import report

pytestmark = [pytest.mark.flow, pytest.mark.timeout(500)]


async def test_every_claim_holds_after_a_worker_and_a_broker_are_killed_under_load(
    tmp_path: Path,
) -> None:
    result = await run(tmp_path, ["kill-call", "kill-leader"], rate=10, seed=1, calm_s=3.0, progress=print)

    assert result.ledger.holds, report.to_json(result)
    assert [one.fault for one in result.recoveries] == ["kill-call", "kill-leader"]
    assert all(one.first_s is not None for one in result.recoveries)
    assert result.ledger.counts["requests answered"] > 0
