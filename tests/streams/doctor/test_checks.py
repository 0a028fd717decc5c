from __future__ import annotations

import dataclasses
from collections.abc import Callable
from pathlib import Path
from typing import Any

import httpx
import pytest

from connectors.clickhouse import ClickHouseClient, ClickHouseError
from connectors.kafka import BrokerUnavailableError, TopicMismatchError
from streams.config.settings import Settings
from streams.doctor import checks
from streams.doctor import clickhouse as clickhouse_checks
from streams.doctor.checks import CHECKS, run_checks
from streams.doctor.finding import CheckFailed, CheckWarning, Finding


def settings(**content: Any) -> Settings:
    return Settings.model_validate(content)


@pytest.fixture
def results(monkeypatch: pytest.MonkeyPatch) -> Callable[..., None]:
    """Make every check succeed, except those that are named."""

    def replace_checks(**faults: Exception) -> None:
        def replacement(name: str) -> Callable[[Settings], Any]:
            async def run(_: Settings) -> str:
                if error := faults.get(name.replace(" ", "_")):
                    raise error
                return "fine"

            return run

        monkeypatch.setattr(
            checks, "CHECKS", [dataclasses.replace(check, run=replacement(check.name)) for check in CHECKS]
        )

    return replace_checks


async def levels() -> dict[str, str]:
    return {finding.name: finding.level for finding in await run_checks(settings())}


async def test_checks_run_in_the_order_of_the_data(results: Callable[..., None]) -> None:
    results()

    assert await levels() == dict.fromkeys(
        (
            "configuration",
            "disk",
            "ingress",
            "Kafka",
            "topics",
            "stages",
            "backlog",
            "ClickHouse",
            "newest row",
            "running config",
            "unsettled requests",
            "dead letters",
        ),
        "ok",
    )


@pytest.mark.parametrize(
    "error", [CheckFailed("too slow"), TopicMismatchError("topic t: …"), httpx.ReadTimeout("")], ids=repr
)
async def test_failed_check_does_not_skip_the_others(error: Exception, results: Callable[..., None]) -> None:
    results(topics=error)

    findings = {finding.name: finding for finding in await run_checks(settings())}

    assert findings["topics"] == Finding("topics", "BAD", str(error) or "ReadTimeout")
    assert [name for name, finding in findings.items() if not finding.ok] == ["topics"]
    assert len(findings) == len(CHECKS)


async def test_check_warning_is_a_finding_that_is_ok(results: Callable[..., None]) -> None:
    results(dead_letters=CheckWarning("one, yesterday"))

    (*_, last) = await run_checks(settings())

    assert (last.level, last.ok, last.message) == ("warn", True, "one, yesterday")


async def test_unavailable_kafka_is_reported_once(results: Callable[..., None]) -> None:
    unavailable = BrokerUnavailableError("no answer")
    results(Kafka=unavailable, topics=unavailable, stages=unavailable, backlog=unavailable, newest_row=unavailable)

    assert await levels() == {
        "configuration": "ok",
        "disk": "ok",
        "ingress": "ok",
        "Kafka": "BAD",
        "ClickHouse": "ok",
        "running config": "ok",
        "unsettled requests": "ok",
        "dead letters": "ok",
    }


async def test_unavailable_clickhouse_is_reported_once(results: Callable[..., None]) -> None:
    unavailable = ClickHouseError("can't be reached", unavailable=True)
    results(
        ClickHouse=unavailable,
        newest_row=unavailable,
        running_config=unavailable,
        unsettled_requests=unavailable,
        dead_letters=unavailable,
    )

    level_by_name = await levels()

    assert level_by_name["ClickHouse"] == "BAD"
    assert level_by_name.keys().isdisjoint({"newest row", "running config", "unsettled requests", "dead letters"})
    assert level_by_name["backlog"] == "ok"


@pytest.mark.flow
async def test_database_without_tables_is_a_finding(
    empty_clickhouse: ClickHouseClient, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setattr(clickhouse_checks, "open_reader", lambda _settings: empty_clickhouse)
    monkeypatch.setattr(empty_clickhouse, "close", lambda: None)
    unused = {"http": {"port": 1}, "kafka": {"bootstrap_servers": "127.0.0.1:1"}}

    findings = {finding.name: finding for finding in await run_checks(settings(state=tmp_path, **unused))}

    assert {name: finding.ok for name, finding in findings.items()} == {
        "configuration": True,
        "disk": True,
        "ingress": False,
        "Kafka": False,
        "ClickHouse": False,
    }
