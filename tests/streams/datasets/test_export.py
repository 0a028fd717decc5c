from __future__ import annotations

import datetime as dt
import hashlib
import json
import uuid
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest
from pyarrow import parquet

from connectors.clickhouse import ClickHouseClient
from streams.datasets.export import PAGE_ROWS, export
from streams.datasets.selection import ExportError, ExportOptions

pytestmark = pytest.mark.flow

START = dt.datetime(2026, 11, 1, tzinfo=dt.UTC)
COLUMNS = (
    "tenant",
    "received_at",
    "request_id",
    "outcome",
    "operation",
    "request_model",
    "provider",
    "provider_model",
    "labels",
    "config_hash",
    "input",
    "output",
    "version",
)


def asked(text: str = "Wie heißt der Fluss? 🌊", **fields: Any) -> str:
    return json.dumps({"model": "m", "messages": [{"role": "user", "content": text}], **fields}, ensure_ascii=False)


def answered(text: str = "Der Rhein.", finish_reason: str = "stop") -> str:
    message = {"role": "assistant", "content": text}
    return json.dumps({"choices": [{"message": message, "finish_reason": finish_reason}]}, ensure_ascii=False)


def row(number: int = 0, **changes: Any) -> list[object]:
    values: dict[str, Any] = {
        "tenant": "default",
        "received_at": START + dt.timedelta(milliseconds=number),
        "request_id": str(uuid.uuid4()),
        "outcome": "answered",
        "operation": "chat",
        "request_model": "fast",
        "provider": "sim",
        "provider_model": "echo",
        "labels": {},
        "config_hash": "c0ffee",
        "input": asked(f"Frage {number}"),
        "output": answered(),
        "version": 1,
    }
    values |= changes
    return [values[column] for column in COLUMNS]


def lines(path: Path) -> list[dict[str, Any]]:
    return [json.loads(line) for line in path.read_text("utf-8").splitlines()]


def questions(path: Path) -> list[str]:
    return [line["messages"][0]["content"] for line in lines(path)]


@pytest.fixture
def out(tmp_path: Path) -> Path:
    return tmp_path / "gateways.jsonl"


def test_answered_chats_become_examples_and_nothing_else_does(clickhouse: ClickHouseClient, out: Path) -> None:
    kept = row(1, input=asked(), output=answered())
    others = [row(2, outcome="failed"), row(3, outcome="refused"), row(4, operation="embeddings")]
    clickhouse.insert("requests_log", COLUMNS, [kept, *others])

    manifest = export(clickhouse, ExportOptions(out))

    assert lines(out) == [
        {
            "messages": [
                {"role": "user", "content": "Wie heißt der Fluss? 🌊"},
                {"role": "assistant", "content": "Der Rhein."},
            ]
        }
    ]
    assert manifest.examples == manifest.requests_read == 1


def test_each_filter_lets_through_what_it_names(clickhouse: ClickHouseClient, out: Path) -> None:
    rows = [
        row(0, input=asked("mine"), tenant="a", request_model="slow", labels={"team": "x=y"}),
        row(5000, input=asked("theirs"), tenant="b"),
    ]
    clickhouse.insert("requests_log", COLUMNS, rows)
    later = START + dt.timedelta(seconds=1)

    found = {}
    for name, filters in {
        "tenant": {"tenant": "a"},
        "model": {"model": "slow"},
        "label": {"label": "team=x=y"},
        "until": {"until": later},
        "since": {"since": later},
        "target": {"model": "sim/echo"},
    }.items():
        export(clickhouse, ExportOptions(out, **filters))  # type: ignore[arg-type]  # one of several kinds
        found[name] = questions(out)

    assert found == {
        "tenant": ["mine"],
        "model": ["mine"],
        "label": ["mine"],
        "until": ["mine"],
        "since": ["theirs"],
        "target": ["mine", "theirs"],
    }


def test_a_label_that_feedback_gave_selects_the_requests_it_judged(clickhouse: ClickHouseClient, out: Path) -> None:
    good, bad = str(uuid.uuid4()), str(uuid.uuid4())
    rows = [row(1, request_id=good, input=asked("good one")), row(2, request_id=bad, input=asked("bad one"))]
    clickhouse.insert("requests_log", COLUMNS, rows)
    judged = ("tenant", "event_time", "event_type", "request_id", "labels", "kafka_topic", "kafka_offset")
    clickhouse.insert(
        "events_log",
        judged,
        [
            ["default", START, "FeedbackGiven", good, {"label": "good"}, "llm.feedback.v1", 1],
            ["default", START, "FeedbackGiven", bad, {"label": "bad"}, "llm.feedback.v1", 2],
            # a tenant can't judge another's request
            ["other", START, "FeedbackGiven", bad, {"label": "good"}, "llm.feedback.v1", 3],
        ],
    )

    export(clickhouse, ExportOptions(out, label="good"))

    assert questions(out) == ["good one"]


@pytest.mark.parametrize(
    "typed", ["' OR 1=1 --", "x'; DROP TABLE requests_log; --", "team=' OR '1'='1", "{tenant:String}", "a\\' OR 1 --"]
)
def test_sql_in_a_filter_is_only_a_text_that_matches_nothing(
    clickhouse: ClickHouseClient, tmp_path: Path, typed: str
) -> None:
    clickhouse.insert("requests_log", COLUMNS, [row(1)])

    for filters in ({"label": typed}, {"tenant": typed}, {"model": typed}):
        manifest = export(clickhouse, ExportOptions(tmp_path / "x.jsonl", **filters))  # type: ignore[arg-type]

        assert manifest.requests_read == 0
    assert export(clickhouse, ExportOptions(tmp_path / "x.jsonl")).examples == 1


def test_five_thousand_requests_of_few_milliseconds_come_once_each_in_pages(
    clickhouse: ClickHouseClient, out: Path
) -> None:
    # a page ends amid requests of one millisecond: the id must carry on
    rows = [row(number // 700, input=asked(str(number)), tenant="ab"[number % 2]) for number in range(5000)]
    clickhouse.insert("requests_log", COLUMNS, rows)
    told: list[tuple[int, int]] = []

    class Paged:
        largest = 0

        def rows(self, sql: str, parameters: Mapping[str, Any]) -> list[dict[str, Any]]:
            page = clickhouse.rows(sql, parameters)
            self.largest = max(self.largest, len(page))
            return page

    manifest = export(paged := Paged(), ExportOptions(out), lambda done, total: told.append((done, total)))

    assert sorted(map(int, questions(out))) == list(range(5000))
    assert manifest.examples == 5000
    assert manifest.tenants == ("a", "b")
    assert told[0] == (PAGE_ROWS, 5000)
    assert told[-1] == (5000, 5000)
    assert paged.largest == PAGE_ROWS


def test_what_makes_no_example_is_counted_by_its_reason(clickhouse: ClickHouseClient, out: Path) -> None:
    rows = [
        row(1),
        row(2, input=asked("Frage 1")),
        row(3, output=answered(finish_reason="length")),
        row(4, output=answered(finish_reason="length")),
        row(5, output=answered(finish_reason="content_filter")),
        row(6, input="", output=""),
        row(7, input="{"),
    ]
    clickhouse.insert("requests_log", COLUMNS, rows)

    manifest = export(clickhouse, ExportOptions(out))

    assert manifest.examples == len(lines(out)) == 1
    assert manifest.skipped == {"truncated": 2, "duplicate": 1, "filtered": 1, "body_expired": 1, "unreadable": 1}
    assert "2 left out: the answer was cut off at the token limit" in manifest.sentence


def test_a_limit_is_of_examples(clickhouse: ClickHouseClient, out: Path) -> None:
    clickhouse.insert("requests_log", COLUMNS, [row(0, output="{}"), *(row(number) for number in range(1, 10))])

    manifest = export(clickhouse, ExportOptions(out, limit=3))

    assert questions(out) == ["Frage 1", "Frage 2", "Frage 3"]
    assert manifest.examples == 3


def test_the_manifest_tells_what_the_file_is_made_of(clickhouse: ClickHouseClient, out: Path) -> None:
    clickhouse.insert("requests_log", COLUMNS, [row(0, config_hash="old"), row(1500, config_hash="new")])

    export(clickhouse, ExportOptions(out, tenant="default", since=START))

    manifest = json.loads(out.with_name("gateways.jsonl.manifest.json").read_text("utf-8"))
    assert manifest["sha256"] == hashlib.sha256(out.read_bytes()).hexdigest()
    assert manifest["size"] == out.stat().st_size
    assert manifest["config_hashes"] == ["new", "old"]
    assert manifest["first_received_at"] == "2026-11-01T00:00:00.000+00:00"
    assert manifest["last_received_at"] == "2026-11-01T00:00:01.500+00:00"
    assert manifest["filters"]["tenant"] == "default"
    assert manifest["parameters"]["tenant"] == "default"
    assert "{tenant:String}" in manifest["sql"]


def test_the_query_in_the_manifest_finds_the_same_requests_again(clickhouse: ClickHouseClient, out: Path) -> None:
    rows = [row(number, tenant="b" if number == 0 else "a") for number in range(4)]
    clickhouse.insert("requests_log", COLUMNS, rows)
    export(clickhouse, ExportOptions(out, since=START))
    manifest = json.loads(out.with_name("gateways.jsonl.manifest.json").read_text("utf-8"))

    first = list(clickhouse.rows(manifest["sql"], manifest["parameters"]))
    second = list(clickhouse.rows(manifest["sql"], {**manifest["parameters"], "in_tenant": "b"}))

    assert [json.loads(found["input"])["messages"][0]["content"] for found in (*first, *second)] == questions(out)
    assert [len(first), len(second)] == [3, 1]


def test_parquet_holds_the_same_examples_in_columns(clickhouse: ClickHouseClient, tmp_path: Path) -> None:
    call = {"id": "c1", "type": "function", "function": {"name": "gateway", "arguments": '{"city": "Köln"}'}}
    tools = [{"type": "function", "function": {"name": "gateway", "parameters": {"type": "object"}}}]
    called = json.dumps(
        {"choices": [{"message": {"role": "assistant", "tool_calls": [call]}, "finish_reason": "tool_calls"}]}
    )
    parts = [{"type": "text", "text": "zwei "}, {"type": "text", "text": "Teile"}]
    picture = [{"type": "image_url", "image_url": {"url": "data:image/png;base64,AA=="}}]
    rows = [
        row(1, input=asked("🌊", tools=tools), output=called),
        row(2, input=json.dumps({"messages": [{"role": "user", "content": parts}]})),
        row(3, input=json.dumps({"messages": [{"role": "user", "content": picture}]})),
    ]
    clickhouse.insert("requests_log", COLUMNS, rows)

    manifest = export(clickhouse, ExportOptions(tmp_path / "x.parquet"))

    first, second = parquet.read_table(tmp_path / "x.parquet").to_pylist()
    assert first["messages"][0]["content"] == "🌊"
    assert first["messages"][1]["tool_calls"] == [call]
    assert json.loads(first["tools"]) == tools
    assert second["messages"][0]["content"] == "zwei Teile"
    assert second["tools"] is None
    assert manifest.skipped == {"content_not_text": 1}


def test_nothing_that_fits_leaves_an_earlier_file_alone_and_says_so(clickhouse: ClickHouseClient, out: Path) -> None:
    out.write_text("earlier")

    manifest = export(clickhouse, ExportOptions(out))

    assert manifest.examples == 0
    assert manifest.sentence == "No answered chat request matches; nothing was written."
    assert [path.name for path in out.parent.iterdir()] == [out.name]
    assert out.read_text() == "earlier"


def test_an_export_that_breaks_leaves_no_half_a_file(clickhouse: ClickHouseClient, out: Path) -> None:
    clickhouse.insert("requests_log", COLUMNS, [row(number) for number in range(PAGE_ROWS + 1)])

    class Breaking:
        asked = 0

        def rows(self, sql: str, parameters: Mapping[str, Any]) -> list[dict[str, Any]]:
            self.asked += 1
            if self.asked == 3:
                raise ConnectionError
            return clickhouse.rows(sql, parameters)

    with pytest.raises(ConnectionError):
        export(Breaking(), ExportOptions(out))

    assert list(out.parent.iterdir()) == []


@pytest.mark.parametrize(
    ("options", "said"),
    [
        (ExportOptions(Path("x.csv")), r"ends in \.jsonl or \.parquet"),
        (ExportOptions(Path("x.jsonl"), format="llama"), "there is: openai-sft"),
        (ExportOptions(Path("no/such/folder/x.jsonl")), "is no folder that can be written to"),
    ],
)
def test_what_can_not_be_written_is_said_before_anything_is_read(
    clickhouse: ClickHouseClient, options: ExportOptions, said: str
) -> None:
    with pytest.raises(ExportError, match=said):
        export(clickhouse, options)
