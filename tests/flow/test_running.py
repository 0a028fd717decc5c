"""Tests of `sluice up`: start, failures to start, stop and restart, and the commands on a running gateway."""

from __future__ import annotations

import json
import os
import signal
import socket
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from streams.config.api_keys import new_key
from tests.eventually import eventually
from tests.fixtures.gateway import CONFIG, GatewayProcess

pytestmark = [pytest.mark.flow, pytest.mark.timeout(240)]

KEYS = {name: new_key() for name in ("full", "limited")}


def guarded_config() -> dict[str, Any]:
    entries = [
        {"id": "full", "tenant": "default", "hash": KEYS["full"][1]},
        {"id": "limited", "tenant": "default", "hash": KEYS["limited"][1], "models": ["other*"]},
    ]
    return {**CONFIG, "keys": entries}


@pytest.fixture(scope="module")
def guarded(tmp_path_factory: pytest.TempPathFactory) -> Iterator[GatewayProcess]:
    """A gateway with API keys, which the tests below stop, restart and kill, in their order in this file."""
    gateway = GatewayProcess(tmp_path_factory.mktemp("guarded"), guarded_config()).start()
    yield gateway
    if gateway.process is not None and gateway.process.poll() is None:
        gateway.stop()


def ask(gateway: GatewayProcess, key: str = "") -> tuple[int, dict[str, Any]]:
    body = json.dumps({"model": "demo", "messages": [{"role": "user", "content": "hello"}]}).encode()
    headers = [("Authorization", f"Bearer {key}")] if key else []
    status, _, answer = gateway.post("/v1/chat/completions", body, headers)
    return status, json.loads(answer)


# --- API keys, stop and restart


def test_request_needs_a_key_that_allows_its_model(guarded: GatewayProcess) -> None:
    assert ask(guarded)[0] == 401
    assert ask(guarded, "sk-sluice-unknown")[0] == 401
    assert ask(guarded, KEYS["full"][0])[0] == 200

    status, answer = ask(guarded, KEYS["limited"][0])

    assert status in {403, 404}
    assert answer["error"]["code"]


def test_key_is_in_no_row_and_no_log_file(guarded: GatewayProcess) -> None:
    plain = KEYS["full"][0]
    guarded.until_rows("SELECT 1 FROM requests WHERE outcome = 'answered'")

    held = guarded.rows(f"SELECT 1 FROM events WHERE position(concat(input, output, toString(attributes)), '{plain}')")

    assert held == []
    logs = [path for path in guarded.folder.rglob("*.log") if path.is_file()]
    assert logs
    assert not any(plain.encode() in path.read_bytes() for path in logs)


def test_ctrl_c_stops_it_within_15_s_and_the_next_start_has_the_same_data(guarded: GatewayProcess) -> None:
    before = guarded.until_rows("SELECT toString(request_id) AS id FROM requests")
    started = time.monotonic()

    assert guarded.stop() == 0

    assert time.monotonic() - started < 15
    assert guarded.processes() == []
    guarded.start()
    started = time.monotonic()
    assert ask(guarded, KEYS["full"][0])[0] == 200
    assert time.monotonic() - started < 15
    after = guarded.until_rows("SELECT toString(request_id) AS id FROM requests", len(before) + 1)
    assert {row["id"] for row in before} < {row["id"] for row in after}


async def test_sigkill_of_the_supervisor_leaves_no_process(guarded: GatewayProcess) -> None:
    assert guarded.process is not None
    assert len(guarded.processes()) >= 6

    os.kill(guarded.process.pid, signal.SIGKILL)
    guarded.process.wait(10)

    await eventually(lambda: guarded.processes() == [], within=30)


# --- failures to start


def failure_message(gateway: GatewayProcess, **environ: str) -> str:
    """Return the last line of a failed `sluice up`, which must leave no process."""
    result = gateway.run("up", **environ)

    assert result.returncode == 1, result.stderr
    assert result.stdout == ""
    assert "Traceback" not in result.stderr
    assert gateway.processes() == []
    return result.stderr.splitlines()[-1]


@pytest.fixture
def stopped(tmp_path: Path) -> GatewayProcess:
    """A gateway that is not started."""
    return GatewayProcess(tmp_path).configure()


@pytest.mark.parametrize(
    ("variable", "sentence"),
    [
        ("SLUICE_HTTP_PORT", "is taken by another program; set SLUICE_HTTP_PORT to a free one"),
        ("SLUICE_KAFKA_PORT", "is taken by another program; set SLUICE_KAFKA_PORT to a free one"),
        ("SLUICE_CLICKHOUSE_PORT", "is taken by another program; set SLUICE_CLICKHOUSE_PORT to a free one"),
    ],
)
def test_port_in_use_is_reported_with_its_variable(stopped: GatewayProcess, variable: str, sentence: str) -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]

        assert failure_message(stopped, **{variable: str(port)}) == f"sluice: port {port} {sentence}"


@pytest.mark.parametrize(
    ("text", "sentence"),
    [
        ("providers: {sim: {kind: simulated}", "can't be read as YAML"),
        ("providers: {x: {kind: telepathy}}", "sluice.yaml: providers.x: kind must be one of: "),
        ("models: {m: {targets: [nobody/x]}}", "provider 'nobody' is not configured (configured: sim)"),
        ("http: {host: 0.0.0.0}", "http.host: other machines can reach 0.0.0.0, and no keys are configured"),
    ],
    ids=["broken", "unknown-provider", "unknown-target", "open-to-all"],
)
def test_invalid_configuration_is_reported_in_one_sentence(stopped: GatewayProcess, text: str, sentence: str) -> None:
    (stopped.folder / "sluice.yaml").write_text(text, "utf-8")

    assert sentence in failure_message(stopped)


def test_unreachable_kafka_is_reported_and_not_replaced(stopped: GatewayProcess) -> None:
    message = failure_message(stopped, SLUICE_KAFKA="127.0.0.1:1")

    assert message == "sluice: Kafka at 127.0.0.1:1 does not answer; is it running? SLUICE_KAFKA names it"
    assert not (stopped.folder / "state" / "kafka").exists()


def test_failed_stage_stops_the_start_and_is_reported(stopped: GatewayProcess) -> None:
    (stopped.folder / "state").mkdir()
    (stopped.folder / "state" / "clickhouse").write_text("no folder")

    result = stopped.run("up")

    assert result.returncode == 1
    assert "`sluice run audit` exited with code" in result.stderr.splitlines()[-1]
    assert stopped.processes() == []


def test_ctrl_c_during_the_start_leaves_no_process(stopped: GatewayProcess) -> None:
    starting = stopped.popen("up", "--json")
    deadline = time.monotonic() + 60
    while not any("kafka.Kafka" in command for command in stopped.processes()):
        assert time.monotonic() < deadline
        time.sleep(0.05)  # polling with a deadline

    starting.send_signal(signal.SIGINT)

    assert starting.wait(30) == 130
    assert stopped.processes() == []


def test_second_gateway_on_the_same_data_is_refused(gateway: GatewayProcess) -> None:
    result = gateway.run("up")

    assert result.returncode == 1
    assert "another `sluice up` uses" in result.stderr
    assert gateway.chat("still there?")[0] == 200


# --- commands on a running gateway


def test_query_prints_a_table_or_json(gateway: GatewayProcess) -> None:
    gateway.chat("count me")
    gateway.until_rows("SELECT 1 FROM requests")

    people, program = (gateway.run("query", "SELECT count() AS n FROM requests", *more) for more in ([], ["--json"]))

    assert people.returncode == program.returncode == 0
    assert "n" in people.stdout
    assert int(json.loads(program.stdout)["data"][0]["n"]) >= 1


def test_invalid_or_writing_query_fails_with_one_line(gateway: GatewayProcess) -> None:
    for sql in ("SELECT nonsense FROM nowhere", "DROP TABLE events_log"):
        result = gateway.run("query", sql)

        assert result.returncode == 1
        assert result.stderr.startswith("sluice: ")
        assert "Traceback" not in result.stderr


def test_topics_and_migrate_have_nothing_to_do(gateway: GatewayProcess) -> None:
    topics = gateway.run("topics", "--json")
    migrate = gateway.run("migrate", "--json")

    assert json.loads(topics.stdout) == {"created": []}
    assert (migrate.returncode, migrate.stdout) in {(0, '{"applied": []}\n'), (1, "")}
    assert "Traceback" not in migrate.stderr


def test_doctor_reports_no_fault_of_a_running_gateway(gateway: GatewayProcess) -> None:
    findings = {finding["check"]: finding for finding in json.loads(gateway.run("doctor", "--json").stdout)}

    looks = ("configuration", "ingress", "Kafka", "topics", "stages", "backlog", "ClickHouse", "newest row")
    assert [findings[what]["message"] for what in looks if not findings[what]["ok"]] == []


def test_doctor_reports_every_unreachable_part(stopped: GatewayProcess) -> None:
    result = stopped.run("doctor")

    assert result.returncode == 1
    bad = [line.split()[1] for line in result.stdout.splitlines() if line.startswith("BAD")]
    assert bad[:2] == ["ingress", "Kafka"]
    assert result.stdout.count("does not answer") == 1
    assert "sluice up" in result.stdout
    assert result.stderr == ""


def test_export_writes_a_dataset_and_no_progress_bar(gateway: GatewayProcess, tmp_path: Path) -> None:
    gateway.chat("a sluice is a gate on a stream")
    gateway.until_rows("SELECT 1 FROM requests WHERE outcome = 'answered'")
    out = tmp_path / "train.jsonl"

    result = gateway.run("export", "--out", str(out), "--json")

    assert result.returncode == 0, result.stderr
    assert result.stderr == ""
    assert json.loads(result.stdout)["examples"] == len(out.read_text("utf-8").splitlines()) > 0
