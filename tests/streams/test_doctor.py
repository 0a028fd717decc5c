from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import httpx
import pytest

from connectors.clickhouse import ClickHouse
from connectors.kafka import BrokerUnavailableError
from streams import doctor, stores
from streams.doctor import Finding, Wrong, examine
from streams.settings import Settings

LOOKS = ("configuration", "ingress", "stages", "backlog", "ClickHouse", "unsettled requests", "dead letters")


def settings(**content: Any) -> Settings:
    return Settings.model_validate(content)


def looking(**says: str | Exception) -> Callable[[Settings], Any]:
    """A look that finds this, by the name of its function."""
    (found,) = says.values()

    async def look(_: Settings) -> str:
        if isinstance(found, Exception):
            raise found
        return found

    return look


@pytest.fixture
def all_is_well(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("_ingress", "_stages", "_backlog", "_clickhouse", "_unsettled", "_dead_letters"):
        monkeypatch.setattr(doctor, name, looking(says="fine"))


@pytest.mark.usefixtures("all_is_well")
async def test_it_looks_at_every_part_in_the_order_of_the_data() -> None:
    findings = await examine(settings())

    assert tuple(finding.what for finding in findings) == LOOKS
    assert all(finding.ok for finding in findings)


@pytest.mark.usefixtures("all_is_well")
@pytest.mark.parametrize(
    "error", [Wrong("too slow"), BrokerUnavailableError("nobody there"), httpx.ReadTimeout("")], ids=repr
)
async def test_one_look_that_fails_does_not_keep_the_others_from_being_taken(
    error: Exception, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(doctor, "_stages", looking(says=error))

    findings = {finding.what: finding for finding in await examine(settings())}

    assert len(findings) == len(LOOKS)
    assert findings["stages"] == Finding("stages", ok=False, says=str(error) or "ReadTimeout")
    assert findings["ClickHouse"].ok


async def test_nobody_at_the_door_is_said_with_what_to_do(free_port: Callable[[], int]) -> None:
    port = free_port()

    with pytest.raises(Wrong, match=f"nobody listens at http://127.0.0.1:{port}; start it with `sluice up`"):
        await doctor._ingress(settings(http={"port": port}))


@pytest.mark.usefixtures("all_is_well")
async def test_a_door_that_is_open_to_others_is_a_finding() -> None:
    first, *others = await examine(settings(http={"host": "0.0.0.0"}))

    assert not first.ok
    assert "0.0.0.0 can be reached by others, and no keys are configured" in first.says
    assert all(finding.ok for finding in others)


def test_a_finding_is_a_line_whose_words_stand_below_one_another() -> None:
    lines = [str(Finding("ingress", ok=True, says="is ready")), str(Finding("dead letters", ok=False, says="3"))]

    assert [line.index(says) for line, says in zip(lines, ("is ready", "3"), strict=True)] == [25, 25]
    assert lines[1].startswith("BAD ")


def test_who_may_call_is_said_without_a_secret() -> None:
    assert doctor._who(settings()) == "no keys: anyone on this machine may call"
    key = {"id": "k", "tenant": "default", "hash": "sha256:" + "0" * 64}
    assert doctor._who(settings(keys=[key])) == "1 key"


@pytest.mark.flow
async def test_an_empty_database_has_nothing_wrong(clickhouse: ClickHouse, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(stores, "reader", lambda _settings: clickhouse)
    monkeypatch.setattr(clickhouse, "close", lambda: None)

    assert (await doctor._clickhouse(settings())).endswith(", 0 events")
    assert await doctor._unsettled(settings()) == "none older than five minutes"
    assert await doctor._dead_letters(settings()) == "none in the last day"


@pytest.mark.flow
async def test_a_database_without_our_tables_is_a_finding_and_no_crash(
    empty_clickhouse: ClickHouse, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setattr(stores, "reader", lambda _settings: empty_clickhouse)
    monkeypatch.setattr(empty_clickhouse, "close", lambda: None)
    unused = {"http": {"port": 1}, "kafka": {"bootstrap_servers": "127.0.0.1:1"}}

    findings = {finding.what: finding for finding in await examine(settings(state=tmp_path, **unused))}

    assert not findings["ClickHouse"].ok
    assert findings["configuration"].ok
