"""Every query of every dashboard, on the real engine, over rows that real events became."""

from __future__ import annotations

import time
from pathlib import Path

import pytest

from connectors.clickhouse import ClickHouseClient
from tests.dashboards.checker import dashboard_faults, queries, rules, run
from tests.dashboards.expander import View, expand
from tests.dashboards.scenario import Log, a_bad_day, a_good_day, travellers
from tests.fixtures.grafana_user import denied_queries

pytestmark = pytest.mark.flow

QUIET = {
    "traffic / Policy actions",
    "traffic / Policy by tenant",
    "traffic / Errors with reasons",
    "traffic / Configuration",
    "providers / Configuration",
    "providers / Errors by type",
    "providers / Circuit breakers",
    "pipeline / Configuration",
    "pipeline / Unsettled requests",
    "pipeline / Dead letters by topic",
    "pipeline / Dead letters with reasons",
}
"""What has nothing to show while all goes well."""

WITHOUT_CHOICE = {query.where for query in queries() if "$provider" in query.sql and "AttemptFinished" in query.sql}
"""The panels of attempts: they know the provider's own name of a model, which is not the caller's."""

IDLE, UP, DEGRADED, DOWN = range(4)


def now_ms() -> int:
    return int(time.time() * 1000)


def last_quarter(**chosen: str) -> View:
    now = now_ms()
    return View(now - 900_000, now, chosen={name: (value,) for name, value in chosen.items()})


def panel(where: str) -> str:
    return next(query.sql for query in queries() if query.where == where)


def shown(clickhouse: ClickHouseClient, where: str, view: View | None = None) -> list[dict[str, object]]:
    answer = run(clickhouse, expand(panel(where), view or last_quarter()))
    return [dict(zip(answer.columns, row, strict=True)) for row in answer.rows]


@pytest.fixture
def bad(clickhouse: ClickHouseClient) -> ClickHouseClient:
    a_bad_day(now_ms()).store(clickhouse)
    return clickhouse


@pytest.fixture
def good(clickhouse: ClickHouseClient) -> ClickHouseClient:
    a_good_day(now_ms()).store(clickhouse)
    return clickhouse


def test_every_panel_has_rows_when_everything_happens(bad: ClickHouseClient) -> None:
    assert dashboard_faults(bad, last_quarter()) == []


def test_every_panel_takes_one_tenant_model_provider_and_topic(bad: ClickHouseClient) -> None:
    chosen = last_quarter(tenant="acme", model="chat", provider="openai", topic="llm.requests.v1-dlt")

    faults = dashboard_faults(bad, chosen, may_be_empty=WITHOUT_CHOICE | QUIET)

    assert faults == []


def test_a_choice_leaves_out_the_others(bad: ClickHouseClient) -> None:
    tenants = {row["tenant"] for row in shown(bad, "traffic / Requests", last_quarter(tenant="acme"))}
    providers = {row["provider"] for row in shown(bad, "providers / Provider health", last_quarter(provider="local"))}
    topics = {row["topic"] for row in shown(bad, "pipeline / Partitions", last_quarter(topic="llm.outcomes.v1"))}

    assert (tenants, providers, topics) == ({"acme"}, {"local"}, {"llm.outcomes.v1"})


def test_a_quiet_day_leaves_only_the_panels_for_trouble_empty(good: ClickHouseClient) -> None:
    assert dashboard_faults(good, last_quarter(), may_be_empty=QUIET) == []


def test_an_empty_database_is_no_error(clickhouse: ClickHouseClient) -> None:
    everything = {query.where for query in queries()}

    assert dashboard_faults(clickhouse, last_quarter(), may_be_empty=everything) == []


def test_a_number_over_nothing_is_nothing_rather_than_a_wrong_one(clickhouse: ClickHouseClient) -> None:
    shares = ("traffic / Error rate", "traffic / p95 latency", "providers / Unpriced", "pipeline / Ingest delay, p95")

    values = [list(row.values()) for where in shares for row in shown(clickhouse, where)]

    assert values == [[None]] * len(shares)


def test_a_gateway_that_nobody_asks_is_idle(clickhouse: ClickHouseClient) -> None:
    assert shown(clickhouse, "traffic / Gateway") == [{"state": IDLE}]


def test_a_gateway_that_answers_is_up(good: ClickHouseClient) -> None:
    assert shown(good, "traffic / Gateway") == [{"state": UP}]


def test_a_gateway_that_answers_some_is_degraded(bad: ClickHouseClient) -> None:
    assert shown(bad, "traffic / Gateway") == [{"state": DEGRADED}]


def test_a_gateway_that_answers_nobody_is_down(clickhouse: ClickHouseClient) -> None:
    log = Log()
    for one in travellers(log, range(now_ms() - 40_000, now_ms() - 20_000, 2_000)):
        one.admit().route("openai").call("openai", error="server").settle("failed", "server", 502)
    log.store(clickhouse)

    assert shown(clickhouse, "traffic / Gateway") == [{"state": DOWN}]


def test_a_provider_that_fails_is_seen_to_be_down_at_once_and_why(bad: ClickHouseClient) -> None:
    health = {row["provider"]: row for row in shown(bad, "providers / Provider health")}

    assert {provider: row["state"] for provider, row in health.items()} == {
        "groq": DOWN,
        "openai": DEGRADED,
        "local": UP,
    }
    assert health["groq"]["last error"] == "timeout"
    assert health["groq"]["last success"] is None
    assert health["openai"]["429"] == 30


def test_a_target_that_is_left_alone_is_shown_with_its_reason(bad: ClickHouseClient) -> None:
    (opened,) = shown(bad, "providers / Circuit breakers")

    assert (opened["target"], opened["state"], opened["reason"]) == ("groq/m", "open", "timeout")
    assert (opened["failures"], opened["cooldown"]) == (1.0, 5000)


def test_what_has_no_price_is_said_openly(bad: ClickHouseClient) -> None:
    health = {row["provider"]: row for row in shown(bad, "providers / Provider health")}

    assert (health["local"]["cost"], health["local"]["unpriced"]) == (None, 1)
    assert (health["openai"]["cost"], health["openai"]["unpriced"]) == (pytest.approx(0.24), 0)


def test_the_stages_share_all_the_time_there_was(good: ClickHouseClient) -> None:
    stages = {str(row["stage"]): row for row in shown(good, "traffic / Stages")}

    assert list(stages) == ["filter", "route", "queue", "call", "settle"]
    assert [row["p50"] for row in stages.values()] == [3, 2, 4, 400, 5]
    assert sum(float(str(row["share"])) for row in stages.values()) == pytest.approx(1)


def test_a_request_id_shows_its_trail_and_none_the_newest(bad: ClickHouseClient) -> None:
    oldest = shown(bad, "traffic / Requests")[-1]["request"]
    named = View(now_ms() - 900_000, now_ms(), text={"request": str(oldest)})

    trail = shown(bad, "traffic / Trail of one request", named)
    newest = shown(bad, "traffic / Trail of one request")

    assert [row["event"] for row in trail] == [
        "RequestReceived",
        "RequestAdmitted",
        "RequestRouted",
        "AttemptStarted",
        "AttemptFinished",
        "RequestSettled",
    ]
    assert newest[-1]["event"] == "RequestSettled"
    assert newest != trail


def test_what_waits_is_counted_after_its_last_event(bad: ClickHouseClient) -> None:
    waiting = {row["after"]: row["requests"] for row in shown(bad, "pipeline / Requests by last event")}
    (numbers,) = shown(bad, "pipeline / Unsettled")

    assert waiting == {"RequestRouted": 1, "AttemptFinished": 1, "RequestAdmitted": 1}
    assert numbers == {"in flight": 1, "overdue": 2}


def test_dead_letters_are_shown_with_their_reason(bad: ClickHouseClient) -> None:
    buried = shown(bad, "pipeline / Dead letters with reasons")

    assert [row["reason"] for row in buried] == ["the record is no request"] * 2
    assert {(row["topic"], row["stage"]) for row in buried} == {("llm.requests.v1-dlt", "filter")}


def test_a_quiet_minute_is_drawn_as_nothing_rather_than_left_out(good: ClickHouseClient) -> None:
    rates = shown(good, "traffic / Requests per second")

    assert len(rates) == pytest.approx(90, abs=1)
    assert rates[0]["requests"] == 0


def test_grafanas_own_user_may_ask_all_of_it(tmp_path: Path) -> None:
    """It has the rights of an analyst: no prompt, no answer, no error text. A panel that reads one would stay empty."""
    asked = [expand(query.sql, last_quarter()) for query in queries()]
    asked += [rule["data"][0]["model"]["rawSql"] for rule in rules()]

    denied = denied_queries(tmp_path / "clickhouse", [" ".join(sql.split()) for sql in asked])

    assert denied == set()
