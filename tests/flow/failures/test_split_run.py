"""Each stage in processes of its own, as in production: two of the busy ones, two ingresses, one Kafka for all."""

from __future__ import annotations

import json
import subprocess
import time
import urllib.error
import urllib.request
from collections.abc import Iterator
from dataclasses import replace

import pytest

from connectors.kafka.embedded.broker import EmbeddedBroker
from tests.fixtures.gateway import CONFIG, GatewayProcess
from tests.fixtures.load import BackgroundLoad, check_all_recorded, wait_for_accepted

pytestmark = [pytest.mark.flow, pytest.mark.timeout(300)]

PREFIX = "split."
STAGES = ("filter", "filter", "route", "call", "call", "reply", "audit")


class Split:
    """The processes, and the two doors."""

    def __init__(self, gateway: GatewayProcess) -> None:
        self._gateway = gateway
        self.workers: list[tuple[str, subprocess.Popen[str]]] = []
        self.doors: list[GatewayProcess] = []

    def start(self) -> None:
        """Run everything, and wait until both doors say that a request would be answered."""
        for stage in STAGES:
            self.join(stage)
        for instance in range(2):
            door = replace(self._gateway, http="", ports=GatewayProcess(self._gateway.folder).ports)
            port = str(door.ports["HTTP_PORT"])
            door.http = f"http://127.0.0.1:{port}"
            own = {"SLUICE_HTTP_PORT": port, "SLUICE_HTTP_INSTANCE": str(instance), "SLUICE_HTTP_INSTANCES": "2"}
            self.workers.append(("ingress", self._gateway.popen("run", "ingress", **own)))
            self.doors.append(door)
        for door in self.doors:
            until_ready(door)

    def join(self, stage: str) -> None:
        """Start one more worker of a stage."""
        self.workers.append((stage, self._gateway.popen("run", stage)))

    def stop_one(self, stage: str) -> int:
        """SIGTERM to one worker of a stage; its exit code."""
        number = next(number for number, (name, _) in enumerate(self.workers) if name == stage)
        _, process = self.workers.pop(number)
        process.terminate()
        return process.wait(30)

    def stop(self) -> list[int]:
        """SIGTERM to all, the doors first; their exit codes."""
        for _, process in reversed(self.workers):
            process.terminate()
        return [process.wait(30) for _, process in self.workers]


def until_ready(door: GatewayProcess, within_s: float = 180.0) -> None:
    deadline, said = time.monotonic() + within_s, ""
    while time.monotonic() < deadline:
        try:
            with urllib.request.urlopen(f"{door.http}/readyz", timeout=5):
                return
        except urllib.error.HTTPError as error:
            said = error.read().decode()
        except (urllib.error.URLError, ConnectionError) as error:
            said = str(error)
        time.sleep(0.2)  # polling with a deadline
    raise AssertionError(f"not ready: {said}")


@pytest.fixture(scope="module")
def split(broker: EmbeddedBroker, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Split]:
    config = {**CONFIG, "kafka": {"bootstrap_servers": broker.bootstrap_servers, "topic_prefix": PREFIX}}
    gateway = GatewayProcess(tmp_path_factory.mktemp("split"), config).configure()
    gateway.clickhouse = f"http://127.0.0.1:{gateway.ports['CLICKHOUSE_PORT']}"
    made = json.loads(gateway.run("topics", "--json").stdout)["created"]
    assert f"{PREFIX}requests.v1" in made
    running = Split(gateway)
    running.start()
    yield running
    assert set(running.stop()) == {0}


def test_both_doors_answer(split: Split) -> None:
    for door in split.doors * 3:
        status, _, answer = door.chat("hello")

        assert status == 200
        assert answer["choices"]


def test_a_worker_that_joins_under_load_costs_no_request_its_answer(split: Split) -> None:
    working = "SELECT uniqExact(worker) AS n FROM events WHERE event_type = 'AttemptStarted'"
    with BackgroundLoad(split.doors[0], "sim/echo?latency_ms=200") as load:
        split.doors[1].until_rows(f"{working} HAVING n = {STAGES.count('call')}", within_s=60)

        split.join("call")

        split.doors[1].until_rows(f"{working} HAVING n > {STAGES.count('call')}", within_s=60)
    check_all_recorded(split.doors[1], load.accepted)


@pytest.mark.parametrize("stage", ["call", "filter"])
def test_a_worker_that_is_told_to_stop_under_load_leaves_nothing_undone(split: Split, stage: str) -> None:
    with BackgroundLoad(split.doors[0], "sim/echo?latency_ms=200") as load:
        wait_for_accepted(load, 200)

        assert split.stop_one(stage) == 0

        wait_for_accepted(load, len(load.accepted) + 200)
    check_all_recorded(split.doors[1], load.accepted)
    assert split.doors[1].chat("still there?")[0] == 200
