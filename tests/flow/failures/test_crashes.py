"""SIGKILL of each process under load: every accepted request has one final state and one row.

All tests share one gateway, so that each crash finds the state that earlier ones left.
"""

from __future__ import annotations

import concurrent.futures
from collections.abc import Iterator

import pytest

from tests.fixtures.gateway import GatewayProcess
from tests.fixtures.load import IN_FLIGHT, BackgroundLoad, check_all_recorded, wait_for_accepted

pytestmark = [pytest.mark.flow, pytest.mark.timeout(300)]

STOPS_WITHIN_S = 60  # the first stop on a machine also makes Java's cache, which takes 6 s or more


@pytest.fixture(scope="module")
def crashing(tmp_path_factory: pytest.TempPathFactory) -> Iterator[GatewayProcess]:
    """A gateway whose processes are killed. It must still stop gracefully."""
    gateway = GatewayProcess(tmp_path_factory.mktemp("crashing")).start()
    yield gateway
    assert gateway.stop(STOPS_WITHIN_S) == 0


@pytest.mark.parametrize("victim", ["call", "flow", "audit", "broker", "ingress"])
def test_killed_process_loses_and_duplicates_no_request(crashing: GatewayProcess, victim: str) -> None:
    with BackgroundLoad(crashing, "sim/echo?latency_ms=200") as load:
        wait_for_accepted(load, 200)

        crashing.kill(victim)

        before = len(load.accepted)
        wait_for_accepted(load, before + 200)

    check_all_recorded(crashing, load.accepted)


def test_waiting_callers_get_answers_after_the_call_worker_is_killed(crashing: GatewayProcess) -> None:
    model = "sim/echo?latency_ms=1001"
    with concurrent.futures.ThreadPoolExecutor(IN_FLIGHT) as callers:
        answers = [callers.submit(crashing.chat, f"{number}", model) for number in range(IN_FLIGHT)]
        crashing.until_rows("SELECT 1 FROM events WHERE event_type = 'AttemptStarted' AND provider_model LIKE '%1001'")

        crashing.kill("call")

        assert [answer.result(90)[0] for answer in answers] == [200] * IN_FLIGHT
