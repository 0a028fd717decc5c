"""Tests of the alert rules: their references, and when each fires."""

from __future__ import annotations

import time
from typing import Any

import pytest

from connectors.clickhouse import ClickHouseClient
from streams.provisioning.dashboards import NAMES, dashboard_named, provisioning_file
from tests.dashboards.checker import alert_values, firing_rules, rules, threshold
from tests.dashboards.scenario import FakeLog, SimulatedRequest, failing_traffic, healthy_traffic, simulated_requests

EVERY = [pytest.param(rule, id=rule["uid"]) for rule in rules()]


def now_ms() -> int:
    return int(time.time() * 1000)


def test_rules_cover_every_condition_that_needs_an_operator() -> None:
    assert {rule["uid"] for rule in rules()} == {
        "sluice-provider-down",
        "sluice-error-rate",
        "sluice-unsettled",
        "sluice-dead-letters",
        "sluice-no-ingest",
        "sluice-ingest-delay",
    }


@pytest.mark.parametrize("rule", EVERY)
def test_rule_links_to_an_existing_panel(rule: dict[str, Any]) -> None:
    dashboards: list[Any] = [dashboard_named(name) for name in NAMES]

    panels = {(held["uid"], panel["id"]): panel["type"] for held in dashboards for panel in held["panels"]}

    assert panels[rule["dashboardUid"], rule["panelId"]] != "row"


@pytest.mark.parametrize("rule", EVERY)
def test_rule_has_a_summary_a_description_and_a_severity(rule: dict[str, Any]) -> None:
    assert 10 < len(rule["annotations"]["summary"]) < 90
    assert len(rule["annotations"]["description"]) > 150
    assert rule["labels"]["severity"] in {"critical", "warning"}


@pytest.mark.parametrize("rule", EVERY)
def test_rule_is_query_then_reduce_then_threshold(rule: dict[str, Any]) -> None:
    query, reduced, compared = rule["data"]

    assert (query["datasourceUid"], query["model"]["format"]) == ("sluice-clickhouse", 0)
    assert (reduced["model"]["type"], reduced["model"]["expression"]) == ("reduce", query["refId"])
    assert (compared["model"]["type"], compared["model"]["expression"]) == ("threshold", reduced["refId"])
    assert rule["condition"] == compared["refId"]


@pytest.mark.parametrize("rule", EVERY)
def test_query_of_a_rule_has_no_macros(rule: dict[str, Any]) -> None:
    assert "$" not in rule["data"][0]["model"]["rawSql"]


def test_group_is_evaluated_every_minute_like_a_pushed_one() -> None:
    (group,) = provisioning_file("alerting")["groups"]

    assert group["interval"] == "1m"


def test_provisioning_file_has_no_notification_policy() -> None:
    assert provisioning_file("alerting").keys() == {"apiVersion", "groups"}


@pytest.mark.flow
def test_no_rule_fires_on_healthy_traffic(clickhouse: ClickHouseClient) -> None:
    healthy_traffic(now_ms()).store(clickhouse)

    values = alert_values(clickhouse)

    assert firing_rules(clickhouse) == set()
    assert values["sluice-provider-down"] == {"openai": 0}
    assert all(found for found in values.values())


@pytest.mark.flow
def test_no_rule_fires_without_traffic(clickhouse: ClickHouseClient) -> None:
    assert firing_rules(clickhouse) == set()


@pytest.mark.flow
def test_failing_traffic_fires_exactly_its_rules(clickhouse: ClickHouseClient) -> None:
    failing_traffic(now_ms()).store(clickhouse)

    values = alert_values(clickhouse)

    assert firing_rules(clickhouse) == {
        "sluice-provider-down",
        "sluice-error-rate",
        "sluice-unsettled",
        "sluice-dead-letters",
    }
    assert values["sluice-provider-down"]["groq"] == 1
    assert values["sluice-provider-down"]["openai"] < 0.5
    assert values["sluice-unsettled"] == {"": 2}
    assert values["sluice-dead-letters"] == {"": 2}


@pytest.mark.flow
def test_provider_is_not_down_after_two_failed_calls(clickhouse: ClickHouseClient) -> None:
    log = FakeLog()
    for one in simulated_requests(log, (now_ms() - 20_000, now_ms() - 10_000)):
        one.admit().route("groq").call("groq", error="server").settle("failed", "server", 502)
    log.store(clickhouse)

    assert firing_rules(clickhouse) == set()


@pytest.mark.flow
def test_no_rule_fires_on_callers_errors(clickhouse: ClickHouseClient) -> None:
    log = FakeLog()
    for one in simulated_requests(log, range(now_ms() - 60_000, now_ms() - 10_000, 2_000)):
        one.admit().route("groq").call("groq", error="invalid_request").settle("refused", "invalid_request", 400)
    log.store(clickhouse)

    assert firing_rules(clickhouse) == set()


@pytest.mark.flow
def test_request_before_its_deadline_is_not_overdue(clickhouse: ClickHouseClient) -> None:
    log = FakeLog()
    SimulatedRequest(log, now_ms() - 900_000, allowed_ms=3_600_000).admit()
    log.store(clickhouse)

    assert alert_values(clickhouse)["sluice-unsettled"] == {"": 0}


@pytest.mark.flow
def test_request_15_s_past_its_deadline_is_overdue(clickhouse: ClickHouseClient) -> None:
    log = FakeLog()
    SimulatedRequest(log, now_ms() - 45_000, allowed_ms=30_000)
    log.store(clickhouse)

    assert "sluice-unsettled" in firing_rules(clickhouse)


@pytest.mark.flow
def test_no_ingest_fires_when_traffic_stops(clickhouse: ClickHouseClient) -> None:
    healthy_traffic(now_ms() - 1_200_000).store(clickhouse)

    assert "sluice-no-ingest" in firing_rules(clickhouse)


@pytest.mark.flow
def test_ingest_delay_fires_on_late_events(clickhouse: ClickHouseClient) -> None:
    healthy_traffic(now_ms() - 120_000).store(clickhouse, delay_ms=120_000)

    assert "sluice-ingest-delay" in firing_rules(clickhouse)


@pytest.mark.parametrize("rule", EVERY)
def test_threshold_is_not_negative(rule: dict[str, Any]) -> None:
    assert threshold(rule) >= 0
