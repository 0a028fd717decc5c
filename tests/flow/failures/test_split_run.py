"""Tests of each stage as a separate process, as in production: two filters, two call workers, two ingresses."""

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


class SplitGateway:
    """All processes, and the two ingresses."""

    def __init__(self, gateway: GatewayProcess) -> None:
        self._gateway = gateway
        self.workers: list[tuple[str, subprocess.Popen[str]]] = []
        self.ingresses: list[GatewayProcess] = []

    def start(self) -> None:
        """Start all processes and wait until both ingresses are ready."""
        for stage in STAGES:
            self.join(stage)
        for instance in range(2):
            ingress = replace(self._gateway, http="", ports=GatewayProcess(self._gateway.folder).ports)
            port = str(ingress.ports["HTTP_PORT"])
            ingress.http = f"http://127.0.0.1:{port}"
            own = {"SLUICE_HTTP_PORT": port, "SLUICE_HTTP_INSTANCE": str(instance), "SLUICE_HTTP_INSTANCES": "2"}
            self.workers.append(("ingress", self._gateway.popen("run", "ingress", **own)))
            self.ingresses.append(ingress)
        for ingress in self.ingresses:
            wait_until_ready(ingress)

    def join(self, stage: str) -> None:
        """Start another worker of a stage."""
        self.workers.append((stage, self._gateway.popen("run", stage)))

    def stop_one(self, stage: str) -> int:
        """Send SIGTERM to one worker of a stage; return its exit code."""
        number = next(number for number, (name, _) in enumerate(self.workers) if name == stage)
        _, process = self.workers.pop(number)
        process.terminate()
        return process.wait(30)

    def stop(self) -> list[int]:
        """Send SIGTERM to all, the ingresses first; return their exit codes."""
        for _, process in reversed(self.workers):
            process.terminate()
        return [process.wait(30) for _, process in self.workers]


def wait_until_ready(ingress: GatewayProcess, within_s: float = 180.0) -> None:
    deadline, state = time.monotonic() + within_s, ""
    while time.monotonic() < deadline:
        try:
            with urllib.request.urlopen(f"{ingress.http}/readyz", timeout=5):
                return
        except urllib.error.HTTPError as error:
            state = error.read().decode()
        except (urllib.error.URLError, ConnectionError) as error:
            state = str(error)
        time.sleep(0.2)  # polling with a deadline
    raise AssertionError(f"not ready: {state}")


@pytest.fixture(scope="module")
def split(broker: EmbeddedBroker, tmp_path_factory: pytest.TempPathFactory) -> Iterator[SplitGateway]:
    config = {**CONFIG, "kafka": {"bootstrap_servers": broker.bootstrap_servers, "topic_prefix": PREFIX}}
    gateway = GatewayProcess(tmp_path_factory.mktemp("split"), config).configure()
    gateway.clickhouse = f"http://127.0.0.1:{gateway.ports['CLICKHOUSE_PORT']}"
    created = json.loads(gateway.run("topics", "--json").stdout)["created"]
    assert f"{PREFIX}requests.v1" in created
    running = SplitGateway(gateway)
    running.start()
    yield running
    assert set(running.stop()) == {0}


def test_both_ingresses_answer(split: SplitGateway) -> None:
    for ingress in split.ingresses * 3:
        status, _, answer = ingress.chat("hello")

        assert status == 200
        assert answer["choices"]


def test_worker_that_joins_under_load_loses_no_request(split: SplitGateway) -> None:
    working = "SELECT uniqExact(worker) AS n FROM events WHERE event_type = 'AttemptStarted'"
    with BackgroundLoad(split.ingresses[0], "sim/echo?latency_ms=200") as load:
        split.ingresses[1].until_rows(f"{working} HAVING n = {STAGES.count('call')}", within_s=60)

        split.join("call")

        split.ingresses[1].until_rows(f"{working} HAVING n > {STAGES.count('call')}", within_s=60)
    check_all_recorded(split.ingresses[1], load.accepted)


@pytest.mark.parametrize("stage", ["call", "filter"])
def test_worker_that_stops_under_load_loses_no_request(split: SplitGateway, stage: str) -> None:
    with BackgroundLoad(split.ingresses[0], "sim/echo?latency_ms=200") as load:
        wait_for_accepted(load, 200)

        assert split.stop_one(stage) == 0

        wait_for_accepted(load, len(load.accepted) + 200)
    check_all_recorded(split.ingresses[1], load.accepted)
    assert split.ingresses[1].chat("still there?")[0] == 200
