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

from connectors.clickhouse import ClickHouseClient, ClickHouseError
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


def request_body(text: str = "Wie heißt der Fluss? 🌊", **fields: Any) -> str:
    return json.dumps({"model": "m", "messages": [{"role": "user", "content": text}], **fields}, ensure_ascii=False)


def answer_body(text: str = "Der Rhein.", finish_reason: str = "stop") -> str:
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
        "input": request_body(f"Frage {number}"),
        "output": answer_body(),
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


def test_export_writes_only_answered_chat_requests(clickhouse: ClickHouseClient, out: Path) -> None:
    kept = row(1, input=request_body(), output=answer_body())
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


def test_each_filter_selects_matching_requests(clickhouse: ClickHouseClient, out: Path) -> None:
    rows = [
        row(0, input=request_body("mine"), tenant="a", request_model="slow", labels={"team": "x=y"}),
        row(5000, input=request_body("theirs"), tenant="b"),
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


def test_feedback_label_selects_requests_of_the_same_tenant(clickhouse: ClickHouseClient, out: Path) -> None:
    good, bad = str(uuid.uuid4()), str(uuid.uuid4())
    rows = [
        row(1, request_id=good, input=request_body("good one")),
        row(2, request_id=bad, input=request_body("bad one")),
    ]
    clickhouse.insert("requests_log", COLUMNS, rows)
    columns = ("tenant", "event_time", "event_type", "request_id", "labels", "kafka_topic", "kafka_offset")
    clickhouse.insert(
        "events_log",
        columns,
        [
            ["default", START, "FeedbackGiven", good, {"label": "good"}, "llm.feedback.v1", 1],
            ["default", START, "FeedbackGiven", bad, {"label": "bad"}, "llm.feedback.v1", 2],
            # feedback of another tenant does not count
            ["other", START, "FeedbackGiven", bad, {"label": "good"}, "llm.feedback.v1", 3],
        ],
    )

    export(clickhouse, ExportOptions(out, label="good"))

    assert questions(out) == ["good one"]


@pytest.mark.parametrize(
    "typed", ["' OR 1=1 --", "x'; DROP TABLE requests_log; --", "team=' OR '1'='1", "{tenant:String}", "a\\' OR 1 --"]
)
def test_sql_in_a_filter_is_text_that_matches_nothing(clickhouse: ClickHouseClient, tmp_path: Path, typed: str) -> None:
    clickhouse.insert("requests_log", COLUMNS, [row(1)])

    for filters in ({"label": typed}, {"tenant": typed}, {"model": typed}):
        manifest = export(clickhouse, ExportOptions(tmp_path / "x.jsonl", **filters))  # type: ignore[arg-type]

        assert manifest.requests_read == 0
    assert export(clickhouse, ExportOptions(tmp_path / "x.jsonl")).examples == 1


def test_pages_hold_each_of_5000_requests_once_also_within_one_millisecond(
    clickhouse: ClickHouseClient, out: Path
) -> None:
    # a page ends among requests of one millisecond, so the next page starts by the id
    rows = [row(number // 700, input=request_body(str(number)), tenant="ab"[number % 2]) for number in range(5000)]
    clickhouse.insert("requests_log", COLUMNS, rows)
    progress: list[tuple[int, int]] = []

    class Paged:
        largest = 0

        def rows(self, sql: str, parameters: Mapping[str, Any]) -> list[dict[str, Any]]:
            page = clickhouse.rows(sql, parameters)
            self.largest = max(self.largest, len(page))
            return page

    manifest = export(paged := Paged(), ExportOptions(out), lambda done, total: progress.append((done, total)))

    assert sorted(map(int, questions(out))) == list(range(5000))
    assert manifest.examples == 5000
    assert manifest.tenants == ("a", "b")
    assert progress[0] == (PAGE_ROWS, 5000)
    assert progress[-1] == (5000, 5000)
    assert paged.largest == PAGE_ROWS


def test_skipped_requests_are_counted_by_reason(clickhouse: ClickHouseClient, out: Path) -> None:
    rows = [
        row(1),
        row(2, input=request_body("Frage 1")),
        row(3, output=answer_body(finish_reason="length")),
        row(4, output=answer_body(finish_reason="length")),
        row(5, output=answer_body(finish_reason="content_filter")),
        row(6, input="", output=""),
        row(7, input="{"),
    ]
    clickhouse.insert("requests_log", COLUMNS, rows)

    manifest = export(clickhouse, ExportOptions(out))

    assert manifest.examples == len(lines(out)) == 1
    assert manifest.skipped == {"truncated": 2, "duplicate": 1, "filtered": 1, "body_expired": 1, "unreadable": 1}
    assert "2 skipped: answer cut off at the token limit" in manifest.sentence


def test_limit_counts_examples_not_requests(clickhouse: ClickHouseClient, out: Path) -> None:
    clickhouse.insert("requests_log", COLUMNS, [row(0, output="{}"), *(row(number) for number in range(1, 10))])

    manifest = export(clickhouse, ExportOptions(out, limit=3))

    assert questions(out) == ["Frage 1", "Frage 2", "Frage 3"]
    assert manifest.examples == 3


def test_manifest_describes_file_filters_and_configurations(clickhouse: ClickHouseClient, out: Path) -> None:
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


def test_query_of_the_manifest_finds_the_same_requests(clickhouse: ClickHouseClient, out: Path) -> None:
    rows = [row(number, tenant="b" if number == 0 else "a") for number in range(4)]
    clickhouse.insert("requests_log", COLUMNS, rows)
    export(clickhouse, ExportOptions(out, since=START))
    manifest = json.loads(out.with_name("gateways.jsonl.manifest.json").read_text("utf-8"))

    first = list(clickhouse.rows(manifest["sql"], manifest["parameters"]))
    second = list(clickhouse.rows(manifest["sql"], {**manifest["parameters"], "in_tenant": "b"}))

    assert [json.loads(found["input"])["messages"][0]["content"] for found in (*first, *second)] == questions(out)
    assert [len(first), len(second)] == [3, 1]


def test_parquet_has_the_same_examples_in_columns(clickhouse: ClickHouseClient, tmp_path: Path) -> None:
    call = {"id": "c1", "type": "function", "function": {"name": "gateway", "arguments": '{"city": "Köln"}'}}
    tools = [{"type": "function", "function": {"name": "gateway", "parameters": {"type": "object"}}}]
    called = json.dumps(
        {"choices": [{"message": {"role": "assistant", "tool_calls": [call]}, "finish_reason": "tool_calls"}]}
    )
    parts = [{"type": "text", "text": "zwei "}, {"type": "text", "text": "Teile"}]
    picture = [{"type": "image_url", "image_url": {"url": "data:image/png;base64,AA=="}}]
    rows = [
        row(1, input=request_body("🌊", tools=tools), output=called),
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


def test_export_without_matches_keeps_an_earlier_file(clickhouse: ClickHouseClient, out: Path) -> None:
    out.write_text("earlier")

    manifest = export(clickhouse, ExportOptions(out))

    assert manifest.examples == 0
    assert manifest.sentence == "No answered chat request matches; nothing was written."
    assert [path.name for path in out.parent.iterdir()] == [out.name]
    assert out.read_text() == "earlier"


def test_failed_export_leaves_no_partial_file(clickhouse: ClickHouseClient, out: Path) -> None:
    clickhouse.insert("requests_log", COLUMNS, [row(number) for number in range(PAGE_ROWS + 1)])

    class Breaking:
        calls = 0

        def rows(self, sql: str, parameters: Mapping[str, Any]) -> list[dict[str, Any]]:
            self.calls += 1
            if self.calls == 3:
                raise ClickHouseError("connection lost", unavailable=True)
            return clickhouse.rows(sql, parameters)

    with pytest.raises(ClickHouseError):
        export(Breaking(), ExportOptions(out))

    assert list(out.parent.iterdir()) == []


class NoRequests:
    def rows(self, _sql: str, _parameters: Mapping[str, Any]) -> list[dict[str, Any]]:
        return []


@pytest.mark.parametrize(
    ("out", "message"),
    [
        ("no/such/directory/x.jsonl", "no/such/directory: the directory does not exist or is not writable"),
        ("x" * 300 + ".jsonl", r"xxx…: can't be written \(File name too long\)"),
        ("/proc/x.jsonl", r"/proc"),
        ("/dev/null/x.parquet", r"/dev/null"),
    ],
)
def test_file_that_can_not_be_written_is_one_sentence(
    out: str, message: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)

    with pytest.raises(ExportError, match=message) as caught:
        export(NoRequests(), ExportOptions(Path(out)))

    assert len(str(caught.value)) < 250
    assert list(tmp_path.iterdir()) == []


def test_label_with_an_empty_value_does_not_match_requests_without_the_label(
    clickhouse: ClickHouseClient, out: Path
) -> None:
    rows = [
        row(1, input=request_body("empty"), labels={"prompt": ""}),
        row(2, input=request_body("other"), labels={"prompt": "v2"}),
        row(3, input=request_body("none")),
    ]
    clickhouse.insert("requests_log", COLUMNS, rows)

    export(clickhouse, ExportOptions(out, label="prompt="))

    assert questions(out) == ["empty"]
