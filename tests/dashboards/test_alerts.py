"""The alert rules: what they refer to, and that each fires when it should and is quiet when it should be."""

from __future__ import annotations

import time
from typing import Any

import pytest

from connectors.clickhouse import ClickHouseClient
from streams.provisioning.dashboards import NAMES, dashboard_named, provisioned
from tests.dashboards.checker import alert_values, firing, rules, threshold
from tests.dashboards.scenario import Log, Traveller, a_bad_day, a_good_day, travellers

EVERY = [pytest.param(rule, id=rule["uid"]) for rule in rules()]


def now_ms() -> int:
    return int(time.time() * 1000)


def test_there_is_a_rule_for_everything_that_must_wake_somebody() -> None:
    assert {rule["uid"] for rule in rules()} == {
        "sluice-provider-down",
        "sluice-error-rate",
        "sluice-unsettled",
        "sluice-dead-letters",
        "sluice-no-ingest",
        "sluice-ingest-delay",
    }


@pytest.mark.parametrize("rule", EVERY)
def test_a_rule_belongs_to_a_panel_that_exists(rule: dict[str, Any]) -> None:
    dashboards: list[Any] = [dashboard_named(name) for name in NAMES]

    panels = {(held["uid"], panel["id"]): panel["type"] for held in dashboards for panel in held["panels"]}

    assert panels[rule["dashboardUid"], rule["panelId"]] != "row"


@pytest.mark.parametrize("rule", EVERY)
def test_a_rule_says_what_is_wrong_and_what_to_do(rule: dict[str, Any]) -> None:
    assert 10 < len(rule["annotations"]["summary"]) < 90
    assert len(rule["annotations"]["description"]) > 150
    assert rule["labels"]["severity"] in {"critical", "warning"}


@pytest.mark.parametrize("rule", EVERY)
def test_a_rule_queries_then_reduces_then_compares(rule: dict[str, Any]) -> None:
    query, reduced, compared = rule["data"]

    assert (query["datasourceUid"], query["model"]["format"]) == ("sluice-clickhouse", 0)
    assert (reduced["model"]["type"], reduced["model"]["expression"]) == ("reduce", query["refId"])
    assert (compared["model"]["type"], compared["model"]["expression"]) == ("threshold", reduced["refId"])
    assert rule["condition"] == compared["refId"]


@pytest.mark.parametrize("rule", EVERY)
def test_a_rules_query_can_be_pasted_anywhere(rule: dict[str, Any]) -> None:
    assert "$" not in rule["data"][0]["model"]["rawSql"]


def test_the_group_is_evaluated_as_often_as_a_pushed_one() -> None:
    (group,) = provisioned("alerting")["groups"]

    assert group["interval"] == "1m"


def test_nobody_is_notified_by_our_file() -> None:
    assert provisioned("alerting").keys() == {"apiVersion", "groups"}


@pytest.mark.flow
def test_nothing_fires_while_all_goes_well(clickhouse: ClickHouseClient) -> None:
    a_good_day(now_ms()).store(clickhouse)

    values = alert_values(clickhouse)

    assert firing(clickhouse) == set()
    assert values["sluice-provider-down"] == {"openai": 0}
    assert all(found for found in values.values())


@pytest.mark.flow
def test_nothing_fires_before_anybody_asked(clickhouse: ClickHouseClient) -> None:
    assert firing(clickhouse) == set()


@pytest.mark.flow
def test_a_bad_day_fires_what_it_should_and_no_more(clickhouse: ClickHouseClient) -> None:
    a_bad_day(now_ms()).store(clickhouse)

    values = alert_values(clickhouse)

    assert firing(clickhouse) == {
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
def test_two_failed_calls_are_no_provider_that_is_down(clickhouse: ClickHouseClient) -> None:
    log = Log()
    for one in travellers(log, (now_ms() - 20_000, now_ms() - 10_000)):
        one.admit().route("groq").call("groq", error="server").settle("failed", "server", 502)
    log.store(clickhouse)

    assert firing(clickhouse) == set()


@pytest.mark.flow
def test_what_callers_do_wrong_wakes_nobody(clickhouse: ClickHouseClient) -> None:
    log = Log()
    for one in travellers(log, range(now_ms() - 60_000, now_ms() - 10_000, 2_000)):
        one.admit().route("groq").call("groq", error="invalid_request").settle("refused", "invalid_request", 400)
    log.store(clickhouse)

    assert firing(clickhouse) == set()


@pytest.mark.flow
def test_a_request_within_its_deadline_is_not_overdue_however_long_that_is(clickhouse: ClickHouseClient) -> None:
    log = Log()
    Traveller(log, now_ms() - 900_000, allowed_ms=3_600_000).admit()
    log.store(clickhouse)

    assert alert_values(clickhouse)["sluice-unsettled"] == {"": 0}


@pytest.mark.flow
def test_a_request_a_little_past_its_deadline_is_overdue(clickhouse: ClickHouseClient) -> None:
    log = Log()
    Traveller(log, now_ms() - 45_000, allowed_ms=30_000)
    log.store(clickhouse)

    assert "sluice-unsettled" in firing(clickhouse)


@pytest.mark.flow
def test_silence_after_traffic_fires(clickhouse: ClickHouseClient) -> None:
    a_good_day(now_ms() - 1_200_000).store(clickhouse)

    assert "sluice-no-ingest" in firing(clickhouse)


@pytest.mark.flow
def test_events_that_come_late_fire(clickhouse: ClickHouseClient) -> None:
    a_good_day(now_ms() - 120_000).store(clickhouse, delay_ms=120_000)

    assert "sluice-ingest-delay" in firing(clickhouse)


@pytest.mark.parametrize("rule", EVERY)
def test_a_threshold_is_a_number_above_which_it_fires(rule: dict[str, Any]) -> None:
    assert threshold(rule) >= 0
