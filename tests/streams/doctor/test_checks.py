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
from streams.doctor import checks as doctor
from streams.doctor.checks import CHECKS, run_checks
from streams.doctor.finding import CheckFailed, CheckWarning, Finding
from streams.provisioning import clickhouse as stores


def settings(**content: Any) -> Settings:
    return Settings.model_validate(content)


@pytest.fixture
def found(monkeypatch: pytest.MonkeyPatch) -> Callable[..., None]:
    """Make every look find that all is well, but for those that are named."""

    def make(**faults: Exception) -> None:
        def finds(what: str) -> Callable[[Settings], Any]:
            async def take(_: Settings) -> str:
                if error := faults.get(what.replace(" ", "_")):
                    raise error
                return "fine"

            return take

        monkeypatch.setattr(doctor, "CHECKS", [dataclasses.replace(look, run=finds(look.name)) for look in CHECKS])

    return make


async def levels() -> dict[str, str]:
    return {finding.name: finding.level for finding in await run_checks(settings())}


async def test_it_looks_at_every_part_in_the_order_of_the_data(found: Callable[..., None]) -> None:
    found()

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
            "unsettled requests",
            "dead letters",
        ),
        "ok",
    )


@pytest.mark.parametrize(
    "error", [CheckFailed("too slow"), TopicMismatchError("topic t: …"), httpx.ReadTimeout("")], ids=repr
)
async def test_one_look_that_fails_does_not_keep_the_others_from_being_taken(
    error: Exception, found: Callable[..., None]
) -> None:
    found(topics=error)

    findings = {finding.name: finding for finding in await run_checks(settings())}

    assert findings["topics"] == Finding("topics", "BAD", str(error) or "ReadTimeout")
    assert [what for what, finding in findings.items() if not finding.ok] == ["topics"]
    assert len(findings) == len(CHECKS)


async def test_what_is_only_worth_knowing_is_a_warning(found: Callable[..., None]) -> None:
    found(dead_letters=CheckWarning("one, yesterday"))

    (*_, last) = await run_checks(settings())

    assert (last.level, last.ok, last.message) == ("warn", True, "one, yesterday")


async def test_a_kafka_that_is_away_is_said_once(found: Callable[..., None]) -> None:
    away = BrokerUnavailableError("nobody there")
    found(Kafka=away, topics=away, stages=away, backlog=away, newest_row=away)

    assert await levels() == {
        "configuration": "ok",
        "disk": "ok",
        "ingress": "ok",
        "Kafka": "BAD",
        "ClickHouse": "ok",
        "unsettled requests": "ok",
        "dead letters": "ok",
    }


async def test_a_clickhouse_that_is_away_is_said_once(found: Callable[..., None]) -> None:
    away = ClickHouseError("can't be reached", unavailable=True)
    found(ClickHouse=away, newest_row=away, unsettled_requests=away, dead_letters=away)

    told = await levels()

    assert told["ClickHouse"] == "BAD"
    assert told.keys().isdisjoint({"newest row", "unsettled requests", "dead letters"})
    assert told["backlog"] == "ok"


@pytest.mark.flow
async def test_a_database_without_our_tables_is_a_finding_and_no_crash(
    empty_clickhouse: ClickHouseClient, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setattr(stores, "open_reader", lambda _settings: empty_clickhouse)
    monkeypatch.setattr(empty_clickhouse, "close", lambda: None)
    unused = {"http": {"port": 1}, "kafka": {"bootstrap_servers": "127.0.0.1:1"}}

    findings = {finding.name: finding for finding in await run_checks(settings(state=tmp_path, **unused))}

    assert {what: finding.ok for what, finding in findings.items()} == {
        "configuration": True,
        "disk": True,
        "ingress": False,
        "Kafka": False,
        "ClickHouse": False,
    }
