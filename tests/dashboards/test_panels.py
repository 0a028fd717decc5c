"""Tests of every query of every dashboard on the real engine, over rows of simulated events."""

from __future__ import annotations

import time
from pathlib import Path

import pytest

from connectors.clickhouse import ClickHouseClient
from tests.dashboards.checker import find_faults, queries, rules, run
from tests.dashboards.expander import View, expand
from tests.dashboards.scenario import FakeLog, failing_traffic, healthy_traffic, simulated_requests
from tests.fixtures.grafana_user import denied_queries

pytestmark = pytest.mark.flow

EMPTY_ON_HEALTHY_TRAFFIC = {
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
"""Panels without rows on healthy traffic."""

EMPTY_WITH_SELECTION = {
    query.where for query in queries() if "$provider" in query.sql and "AttemptFinished" in query.sql
}
"""Panels of attempts, which have the provider's model names, not the caller's."""

IDLE, UP, DEGRADED, DOWN = range(4)


def now_ms() -> int:
    return int(time.time() * 1000)


def last_quarter(**selected: str) -> View:
    now = now_ms()
    return View(now - 900_000, now, selected={name: (value,) for name, value in selected.items()})


def panel(where: str) -> str:
    return next(query.sql for query in queries() if query.where == where)


def panel_rows(clickhouse: ClickHouseClient, where: str, view: View | None = None) -> list[dict[str, object]]:
    data = run(clickhouse, expand(panel(where), view or last_quarter()))
    return [dict(zip(data.columns, row, strict=True)) for row in data.rows]


@pytest.fixture
def failing(clickhouse: ClickHouseClient) -> ClickHouseClient:
    failing_traffic(now_ms()).store(clickhouse)
    return clickhouse


@pytest.fixture
def healthy(clickhouse: ClickHouseClient) -> ClickHouseClient:
    healthy_traffic(now_ms()).store(clickhouse)
    return clickhouse


def test_every_panel_has_rows_on_failing_traffic(failing: ClickHouseClient) -> None:
    assert find_faults(failing, last_quarter()) == []


def test_every_panel_accepts_a_tenant_a_model_a_provider_and_a_topic(failing: ClickHouseClient) -> None:
    selected = last_quarter(tenant="acme", model="chat", provider="openai", topic="llm.requests.v1-dlt")

    faults = find_faults(failing, selected, may_be_empty=EMPTY_WITH_SELECTION | EMPTY_ON_HEALTHY_TRAFFIC)

    assert faults == []


def test_selection_excludes_other_values(failing: ClickHouseClient) -> None:
    tenants = {row["tenant"] for row in panel_rows(failing, "traffic / Requests", last_quarter(tenant="acme"))}
    providers = {
        row["provider"] for row in panel_rows(failing, "providers / Provider health", last_quarter(provider="local"))
    }
    topics = {
        row["topic"] for row in panel_rows(failing, "pipeline / Partitions", last_quarter(topic="llm.outcomes.v1"))
    }

    assert (tenants, providers, topics) == ({"acme"}, {"local"}, {"llm.outcomes.v1"})


def test_only_panels_of_failures_are_empty_on_healthy_traffic(healthy: ClickHouseClient) -> None:
    assert find_faults(healthy, last_quarter(), may_be_empty=EMPTY_ON_HEALTHY_TRAFFIC) == []


def test_queries_run_on_an_empty_database(clickhouse: ClickHouseClient) -> None:
    everything = {query.where for query in queries()}

    assert find_faults(clickhouse, last_quarter(), may_be_empty=everything) == []


def test_shares_and_percentiles_without_data_are_null(clickhouse: ClickHouseClient) -> None:
    shares = ("traffic / Error rate", "traffic / p95 latency", "providers / Unpriced", "pipeline / Ingest delay, p95")

    values = [list(row.values()) for where in shares for row in panel_rows(clickhouse, where)]

    assert values == [[None]] * len(shares)


def test_gateway_without_requests_is_idle(clickhouse: ClickHouseClient) -> None:
    assert panel_rows(clickhouse, "traffic / Gateway") == [{"state": IDLE}]


def test_gateway_that_answers_is_up(healthy: ClickHouseClient) -> None:
    assert panel_rows(healthy, "traffic / Gateway") == [{"state": UP}]


def test_gateway_that_answers_some_requests_is_degraded(failing: ClickHouseClient) -> None:
    assert panel_rows(failing, "traffic / Gateway") == [{"state": DEGRADED}]


def test_gateway_that_answers_no_request_is_down(clickhouse: ClickHouseClient) -> None:
    log = FakeLog()
    for one in simulated_requests(log, range(now_ms() - 40_000, now_ms() - 20_000, 2_000)):
        one.admit().route("openai").call("openai", error="server").settle("failed", "server", 502)
    log.store(clickhouse)

    assert panel_rows(clickhouse, "traffic / Gateway") == [{"state": DOWN}]


def test_failing_provider_is_down_with_its_last_error(failing: ClickHouseClient) -> None:
    health = {row["provider"]: row for row in panel_rows(failing, "providers / Provider health")}

    assert {provider: row["state"] for provider, row in health.items()} == {
        "groq": DOWN,
        "openai": DEGRADED,
        "local": UP,
    }
    assert health["groq"]["last error"] == "timeout"
    assert health["groq"]["last success"] is None
    assert health["openai"]["429"] == 30


def test_open_circuit_breaker_is_shown_with_its_reason(failing: ClickHouseClient) -> None:
    (opened,) = panel_rows(failing, "providers / Circuit breakers")

    assert (opened["target"], opened["state"], opened["reason"]) == ("groq/m", "open", "timeout")
    assert (opened["failures"], opened["cooldown"]) == (1.0, 5000)


def test_unpriced_answers_are_counted_and_have_no_cost(failing: ClickHouseClient) -> None:
    health = {row["provider"]: row for row in panel_rows(failing, "providers / Provider health")}

    assert (health["local"]["cost"], health["local"]["unpriced"]) == (None, 1)
    assert (health["openai"]["cost"], health["openai"]["unpriced"]) == (pytest.approx(0.24), 0)


def test_stages_share_all_of_the_latency(healthy: ClickHouseClient) -> None:
    stages = {str(row["stage"]): row for row in panel_rows(healthy, "traffic / Stages")}

    assert list(stages) == ["filter", "route", "queue", "call", "settle"]
    assert [row["p50"] for row in stages.values()] == [3, 2, 4, 400, 5]
    assert sum(float(str(row["share"])) for row in stages.values()) == pytest.approx(1)


def test_trail_shows_the_named_request_or_else_the_newest(failing: ClickHouseClient) -> None:
    oldest = panel_rows(failing, "traffic / Requests")[-1]["request"]
    named = View(now_ms() - 900_000, now_ms(), text={"request": str(oldest)})

    trail = panel_rows(failing, "traffic / Trail of one request", named)
    newest = panel_rows(failing, "traffic / Trail of one request")

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


def test_unsettled_requests_are_counted_by_last_event(failing: ClickHouseClient) -> None:
    waiting = {row["after"]: row["requests"] for row in panel_rows(failing, "pipeline / Requests by last event")}
    (numbers,) = panel_rows(failing, "pipeline / Unsettled")

    assert waiting == {"RequestRouted": 1, "AttemptFinished": 1, "RequestAdmitted": 1}
    assert numbers == {"in flight": 1, "overdue": 2}


def test_dead_letters_are_shown_with_their_reason(failing: ClickHouseClient) -> None:
    dead_letters = panel_rows(failing, "pipeline / Dead letters with reasons")

    assert [row["reason"] for row in dead_letters] == ["the record is not a request"] * 2
    assert {(row["topic"], row["stage"]) for row in dead_letters} == {("llm.requests.v1-dlt", "filter")}


def test_minutes_without_requests_are_drawn_as_zero(healthy: ClickHouseClient) -> None:
    rates = panel_rows(healthy, "traffic / Requests per second")

    assert len(rates) == pytest.approx(90, abs=1)
    assert rates[0]["requests"] == 0


def test_grafanas_user_may_run_every_query(tmp_path: Path) -> None:
    """Grafana's user has an analyst's rights: no prompts, answers or error texts."""
    sqls = [expand(query.sql, last_quarter()) for query in queries()]
    sqls += [rule["data"][0]["model"]["rawSql"] for rule in rules()]

    denied = denied_queries(tmp_path / "clickhouse", [" ".join(sql.split()) for sql in sqls])

    assert denied == set()
