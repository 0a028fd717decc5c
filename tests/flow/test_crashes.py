"""kill -9 under load: every accepted request reaches one end, and every end is one row."""

from __future__ import annotations

import concurrent.futures
import json
import threading
import time
import urllib.error
from typing import Self

import pytest

from tests.fixtures.river import River

pytestmark = [pytest.mark.flow, pytest.mark.timeout(300)]

IN_FLIGHT = 50
WAITING_S = 60


class Load:
    """So many callers that ask again and again, each request named, so that it can be told whether it was accepted."""

    def __init__(self, river: River, model: str) -> None:
        self._river = river
        self._model = model
        self._stop = threading.Event()
        self.accepted: list[str] = []
        self.refused = 0
        self._callers = [threading.Thread(target=self._call, args=(number,)) for number in range(IN_FLIGHT)]

    def _call(self, caller: int) -> None:
        number = 0
        while not self._stop.is_set():
            number += 1
            body = json.dumps({"model": self._model, "messages": [{"role": "user", "content": f"{caller}/{number}"}]})
            try:
                status, headers, _ = self._river.post(
                    "/v1/chat/completions", body.encode(), [("Prefer", "respond-async")]
                )
            except (urllib.error.URLError, ConnectionError, TimeoutError):
                time.sleep(0.05)
                continue
            if status == 202:
                self.accepted.append(headers["x-request-id"])
            else:
                self.refused += 1
                time.sleep(0.05)

    def __enter__(self) -> Self:
        for caller in self._callers:
            caller.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._stop.set()
        for caller in self._callers:
            caller.join(60)


def count_accepted(load: Load, count: int, within_s: float = 60.0) -> None:
    deadline = time.monotonic() + within_s
    while len(load.accepted) < count:
        assert time.monotonic() < deadline, f"only {len(load.accepted)} requests were accepted, {load.refused} refused"
        time.sleep(0.05)


def check_the_record(river: River, accepted: list[str]) -> None:
    """One row for each that was accepted, none missing, none twice; and nothing left without an end."""
    wanted = set(accepted)
    deadline = time.monotonic() + WAITING_S
    rows: list[dict[str, str]] = []
    while time.monotonic() < deadline:
        rows = river.until_rows("SELECT toString(request_id) AS id, outcome FROM requests", within_s=WAITING_S)
        if wanted <= {row["id"] for row in rows}:
            break
        time.sleep(0.2)
    found = [row["id"] for row in rows]
    assert wanted - set(found) == set()
    assert len(found) == len(set(found))
    assert {row["outcome"] for row in rows} == {"answered"}
    river.until_rows("SELECT count() AS n FROM unsettled HAVING n = 0", within_s=WAITING_S)
    received = "SELECT uniqExact(request_id) AS n FROM events WHERE event_type = 'RequestReceived'"
    river.until_rows(f"{received} HAVING n = {len(found)}", within_s=WAITING_S)


@pytest.mark.parametrize("victim", ["call", "flow", "audit", "broker"])
def test_a_killed_process_loses_nothing_and_counts_nothing_twice(own_river: River, victim: str) -> None:
    with Load(own_river, "sim/echo?latency_ms=200") as load:
        count_accepted(load, 200)

        own_river.kill(victim)

        before = len(load.accepted)
        count_accepted(load, before + 200)

    check_the_record(own_river, load.accepted)


def test_a_killed_ingress_loses_nothing_that_it_accepted(own_river: River) -> None:
    with Load(own_river, "sim/echo?latency_ms=200") as load:
        count_accepted(load, 200)
        own_river.kill("ingress")
        count_accepted(load, len(load.accepted) + 200)

    wanted = set(load.accepted)
    rows = own_river.until_rows("SELECT toString(request_id) AS id FROM requests", len(wanted), within_s=WAITING_S)
    assert wanted <= {row["id"] for row in rows}


def test_waiting_callers_get_their_answers_though_the_call_worker_dies(own_river: River) -> None:
    with concurrent.futures.ThreadPoolExecutor(IN_FLIGHT) as callers:
        answers = [
            callers.submit(own_river.chat, f"{number}", "sim/echo?latency_ms=1000") for number in range(IN_FLIGHT)
        ]
        own_river.until_rows("SELECT 1 FROM events WHERE event_type = 'AttemptStarted'")

        own_river.kill("call")

        assert [answer.result(90)[0] for answer in answers] == [200] * IN_FLIGHT
