"""Tests of the SQL recipes of docs/cookbook.md on the real engine, over rows of simulated events."""

from __future__ import annotations

import dataclasses
import json
import re
import time
import uuid
from typing import Any

import pytest

from connectors.clickhouse import ClickHouseClient
from schemas.avro.codec import encode
from schemas.events.catalog import FeedbackGiven
from schemas.events.parts import Usage
from tests.dashboards.scenario import FakeLog, SimulatedRequest
from tests.docs.pages import PAGES, section
from tests.fixtures.rows import SETTLED

pytestmark = pytest.mark.flow

PAGE = PAGES["docs/cookbook.md"]
EXAMPLE_ID = "0190a3c4-7b1e-7c2d-9f00-5e8d4a6b1c2f"
"""Request id in the page's commands."""
MINUTE, DAY = 60_000, 86_400_000


def recipes(heading: str) -> list[str]:
    """Return the SQL of a recipe, in the order of the page."""
    blocks = re.findall(r"^( *)```sql\n(.*?)^\1```$", section(PAGE, heading), re.MULTILINE | re.DOTALL)
    return [sql for _, sql in blocks]


def commands() -> list[str]:
    """Return the SQL of each one-line `sluice query` of the page."""
    return re.findall(r'^sluice query "(SELECT [^"]+)"$', PAGE, re.MULTILINE)


def rows(clickhouse: ClickHouseClient, sql: str) -> list[dict[str, Any]]:
    answer = clickhouse.query(re.sub(r"FORMAT \w+\s*$", "", sql), "JSONEachRow")
    return [json.loads(line) for line in answer.splitlines()]


class Traffic:
    """Writes requests and feedback as events."""

    def __init__(self, clickhouse: ClickHouseClient) -> None:
        self.clickhouse = clickhouse
        self.log = FakeLog()
        self.now = int(time.time() * 1000)

    def settle(self, ago_ms: int = MINUTE, **changes: Any) -> str:
        """Write a settled request like the fixture, with these changes; return its id."""
        at = self.now - ago_ms
        request_fields: dict[str, Any] = {name: changes.pop(name) for name in ("tenant", "key_id") if name in changes}
        request_id = str(uuid.uuid4())
        request = dataclasses.replace(
            SETTLED.request, request_id=request_id, received_at=at, deadline_at=at + MINUTE, **request_fields
        )
        times: dict[str, Any] = {
            "admitted_at": at + 1,
            "routed_at": at + 2,
            "called_at": at + 3,
            "answered_at": at + 90,
        }
        event = dataclasses.replace(SETTLED, request=request, settled_at=at + 100, **times, **changes)
        self.log.write(self.log.topics.outcomes.name, encode(event), at + 100)
        return request_id

    def give_feedback(self, request_id: str, label: str, tenant: str = "acme") -> None:
        event = FeedbackGiven(request_id=request_id, tenant=tenant, label=label, given_at=self.now)
        self.log.write(self.log.topics.feedback.name, encode(event), self.now)

    def find(self, sql: str) -> list[dict[str, Any]]:
        """Store the rows of all events, and run a query."""
        self.log.store(self.clickhouse, delay_ms=0)
        return rows(self.clickhouse, sql)


@pytest.fixture
def traffic(clickhouse: ClickHouseClient) -> Traffic:
    return Traffic(clickhouse)


def test_every_recipe_is_tested() -> None:
    tested = {
        "Use OpenAI with a fallback": 1,
        "Rotate a key": 1,
        "See what each team spent": 2,
        "Find out why a request failed": 2,
        "Watch live traffic": 1,
        "Compare prompt versions": 1,
        "Export only good answers": 1,
        "Get an alert": 1,
        "Send last week": 2,
    }

    assert {heading: len(recipes(heading)) for heading in tested} == tested
    assert PAGE.count("```sql") == sum(tested.values())


@pytest.mark.parametrize("sql", commands())
def test_query_on_one_line_runs(clickhouse: ClickHouseClient, sql: str) -> None:
    assert rows(clickhouse, sql) == []


def test_fallback_share_counts_the_answers_of_each_provider(traffic: Traffic) -> None:
    for provider in ("openai", "openai", "openai", "anthropic"):
        traffic.settle(model="smart", provider=provider)
    traffic.settle(model="smart", provider="openai", outcome="failed")
    traffic.settle(model="other")

    found = traffic.find(recipes("Use OpenAI with a fallback")[0])

    assert [(row["provider"], row["share"]) for row in found] == [("openai", 0.75), ("anthropic", 0.25)]


def test_rotated_key_shows_when_it_was_used_last(traffic: Traffic) -> None:
    traffic.settle(3 * DAY, tenant="search", key_id="search-1")
    traffic.settle(tenant="search", key_id="search-2")
    traffic.settle(tenant="support", key_id="support-1")

    found = traffic.find(recipes("Rotate a key")[0])

    assert [row["key_id"] for row in found] == ["search-2", "search-1"]


def test_spend_is_summed_by_tenant_and_model_and_unpriced_answers_are_counted(traffic: Traffic) -> None:
    usage = Usage(input_tokens=100, output_tokens=10)
    for cost in ("1.25", "0.50", None):
        traffic.settle(0, tenant="acme", cost_usd=cost, usage=usage)
    traffic.settle(0, tenant="globex", cost_usd="0.10", usage=usage)
    traffic.settle(40 * DAY, tenant="acme", cost_usd="99")

    found = traffic.find(recipes("See what each team spent")[0])

    assert [(row["tenant"], row["usd"], row["requests"], row["without_price"]) for row in found] == [
        ("acme", 1.75, 3, 1),
        ("globex", 0.1, 1, 0),
    ]
    assert found[0]["input_tokens"] == 300


def test_spend_by_provider_contains_attempts_that_failed(traffic: Traffic) -> None:
    SimulatedRequest(traffic.log, traffic.now).admit().route("openai").call("openai", cost="0.002").settle("answered")
    SimulatedRequest(traffic.log, traffic.now).admit().route("openai").call("openai", cost="0.03").settle("expired")

    found = traffic.find(recipes("See what each team spent")[1])

    assert [(row["tenant"], row["provider"], row["usd"]) for row in found] == [("acme", "openai", 0.03)]


def test_trail_of_a_failed_request_ends_with_what_its_caller_got(traffic: Traffic) -> None:
    one = SimulatedRequest(traffic.log, traffic.now - 5_000).admit().route("openai", "local")
    one.call("openai", error="rate_limited").call("local", error="server").settle("failed", "server", 502)
    sql = recipes("Find out why a request failed")[0]

    found = traffic.find(sql.replace(EXAMPLE_ID, one.request.request_id))

    assert [(row["event_type"], row["error_type"]) for row in found] == [
        ("RequestReceived", ""),
        ("RequestAdmitted", ""),
        ("RequestRouted", ""),
        ("AttemptStarted", ""),
        ("AttemptFinished", "rate_limited"),
        ("AttemptStarted", ""),
        ("AttemptFinished", "server"),
        ("RequestSettled", "server"),
    ]
    assert found[-1]["http_status"] == 502


def test_frequent_failures_come_first(traffic: Traffic) -> None:
    for code in ("server", "server", "timeout"):
        one = SimulatedRequest(traffic.log, traffic.now - 5_000).admit().route("openai")
        one.call("openai", error="server").settle("failed", code, 502)
    SimulatedRequest(traffic.log, traffic.now - 5_000).admit().route("openai").call("openai").settle("answered")

    found = traffic.find(recipes("Find out why a request failed")[1])

    assert [(row["error_type"], row["requests"]) for row in found] == [("server", 2), ("timeout", 1)]


def test_live_traffic_shows_the_newest_first(traffic: Traffic) -> None:
    for ago_s in (30, 10, 20):
        traffic.settle(ago_s * 1000, attempts=ago_s)
    traffic.settle(DAY)

    found = traffic.find(recipes("Watch live traffic")[0])

    assert [row["attempts"] for row in found] == [10, 20, 30]
    assert found[0]["target"] == "sim/echo"


def test_prompt_versions_are_compared_with_their_feedback(traffic: Traffic) -> None:
    for version, cost in (("v1", "0.001"), ("v1", "0.003"), ("v2", "0.001")):
        request_id = traffic.settle(labels={"prompt_version": version}, cost_usd=cost)
    traffic.settle(labels={"prompt_version": "v2"}, outcome="failed", cost_usd=None)
    traffic.settle(labels={})
    traffic.give_feedback(request_id, "good")
    traffic.give_feedback(request_id, "good", tenant="globex")

    found = traffic.find(recipes("Compare prompt versions")[0])

    assert [(row["version"], row["requests"], row["failed_share"], row["good"]) for row in found] == [
        ("v1", 2, 0, 0),
        ("v2", 2, 0.5, 1),
    ]
    assert found[0]["usd_per_request"] == 0.002


def test_contradictory_feedback_is_found(traffic: Traffic) -> None:
    both, one = traffic.settle(), traffic.settle()
    for request_id, label in ((both, "good"), (both, "bad"), (one, "good")):
        traffic.give_feedback(request_id, label)

    found = traffic.find(recipes("Export only good answers")[0])

    assert [row["request_id"] for row in found] == [both]


def test_provider_is_down_if_all_of_three_attempts_failed(traffic: Traffic) -> None:
    for provider, errors in {
        "down": ("server", "server", "timeout"),
        "flaky": ("server", "server", None),
        "quiet": ("server", "server"),
        "caller": ("invalid_request", "invalid_request", "invalid_request"),
    }.items():
        for error in errors:
            one = SimulatedRequest(traffic.log, traffic.now - 30_000).admit().route(provider)
            one.call(provider, error=error)  # type: ignore[arg-type]

    found = traffic.find(recipes("Get an alert")[0])

    assert [(row["provider"], row["failed"], row["most_frequent_error"]) for row in found] == [("down", 3, "server")]


def test_last_weeks_requests_are_selected_and_their_replays_are_not(traffic: Traffic) -> None:
    body = '{"messages": []}'
    old = traffic.settle(5 * DAY, tenant="search", input=body)
    traffic.settle(8 * DAY, tenant="search", input=body)
    traffic.settle(tenant="search", input=body, outcome="failed")
    traffic.settle(tenant="support", input=body)
    traffic.settle(tenant="search", input=body, labels={"replay_of": old})

    found = traffic.find(recipes("Send last week")[0])

    assert found == [{"id": old, "input": body}]


def test_replay_is_compared_with_its_first_request(traffic: Traffic) -> None:
    first = traffic.settle(5 * DAY, model="smart", cost_usd="0.02")
    traffic.settle(model="fast", cost_usd="0.001", labels={"replay_of": first})

    (found,) = traffic.find(recipes("Send last week")[1])

    assert (found["first_model"], found["replay_model"], found["answered"]) == ("smart", "fast", 1)
    assert (found["first_usd"], found["replay_usd"]) == (0.02, 0.001)
