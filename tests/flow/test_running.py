"""`sluice up` as a person runs it: that it starts, why it does not, how it ends, and the commands beside it."""

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
    """A gateway with keys, which the tests below stop, start again and kill, in the order in which they stand."""
    gateway = GatewayProcess(tmp_path_factory.mktemp("guarded"), guarded_config()).start()
    yield gateway
    if gateway.process is not None and gateway.process.poll() is None:
        gateway.stop()


def ask(gateway: GatewayProcess, key: str = "") -> tuple[int, dict[str, Any]]:
    body = json.dumps({"model": "demo", "messages": [{"role": "user", "content": "hello"}]}).encode()
    headers = [("Authorization", f"Bearer {key}")] if key else []
    status, _, answer = gateway.post("/v1/chat/completions", body, headers)
    return status, json.loads(answer)


# --- with keys, and from one start to the next


def test_without_a_key_nobody_gets_in_and_with_one_only_to_its_models(guarded: GatewayProcess) -> None:
    assert ask(guarded)[0] == 401
    assert ask(guarded, "sk-sluice-made-up")[0] == 401
    assert ask(guarded, KEYS["full"][0])[0] == 200

    status, answer = ask(guarded, KEYS["limited"][0])

    assert status in {403, 404}
    assert answer["error"]["code"]


def test_no_key_is_in_the_database_nor_on_the_disk(guarded: GatewayProcess) -> None:
    plain = KEYS["full"][0]
    guarded.until_rows("SELECT 1 FROM requests WHERE outcome = 'answered'")

    held = guarded.rows(f"SELECT 1 FROM events WHERE position(concat(input, output, toString(attributes)), '{plain}')")

    assert held == []
    logs = [path for path in guarded.folder.rglob("*.log") if path.is_file()]
    assert logs
    assert not any(plain.encode() in path.read_bytes() for path in logs)


def test_ctrl_c_ends_it_within_seconds_and_the_next_start_goes_on_with_the_same_data(guarded: GatewayProcess) -> None:
    before = guarded.until_rows("SELECT toString(request_id) AS id FROM requests")
    began = time.monotonic()

    assert guarded.stop() == 0

    assert time.monotonic() - began < 15
    assert guarded.processes() == []
    guarded.start()
    began = time.monotonic()
    assert ask(guarded, KEYS["full"][0])[0] == 200
    assert time.monotonic() - began < 15
    after = guarded.until_rows("SELECT toString(request_id) AS id FROM requests", len(before) + 1)
    assert {row["id"] for row in before} < {row["id"] for row in after}


async def test_kill_9_of_the_supervisor_leaves_no_process_behind(guarded: GatewayProcess) -> None:
    assert guarded.process is not None
    assert len(guarded.processes()) >= 6

    os.kill(guarded.process.pid, signal.SIGKILL)
    guarded.process.wait(10)

    await eventually(lambda: guarded.processes() == [], within=30)


# --- why it does not start


def first_fault(gateway: GatewayProcess, **environ: str) -> str:
    """What `sluice up` says on its last line, having failed and left nothing behind."""
    ended = gateway.run("up", **environ)

    assert ended.returncode == 1, ended.stderr
    assert ended.stdout == ""
    assert "Traceback" not in ended.stderr
    assert gateway.processes() == []
    return ended.stderr.splitlines()[-1]


@pytest.fixture
def stopped(tmp_path: Path) -> GatewayProcess:
    """A gateway that was never started."""
    return GatewayProcess(tmp_path).configure()


@pytest.mark.parametrize(
    ("variable", "sentence"),
    [
        ("SLUICE_HTTP_PORT", "is taken by another program; set SLUICE_HTTP_PORT to a free one"),
        ("SLUICE_KAFKA_PORT", "is taken by another program; set SLUICE_KAFKA_PORT to a free one"),
        ("SLUICE_CLICKHOUSE_PORT", "is taken by another program; set SLUICE_CLICKHOUSE_PORT to a free one"),
    ],
)
def test_a_taken_port_is_said_with_the_variable_that_names_another(
    stopped: GatewayProcess, variable: str, sentence: str
) -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]

        assert first_fault(stopped, **{variable: str(port)}) == f"sluice: port {port} {sentence}"


@pytest.mark.parametrize(
    ("text", "sentence"),
    [
        ("providers: {sim: {kind: simulated}", "can't be read as YAML"),
        ("providers: {x: {kind: telepathy}}", "sluice.yaml: providers.x: kind must be one of: "),
        ("models: {m: {targets: [nobody/x]}}", "provider 'nobody' is not configured (there is: sim)"),
        ("http: {host: 0.0.0.0}", "http.host: other machines can reach 0.0.0.0, and no keys are configured"),
    ],
    ids=["broken", "unknown-provider", "unknown-target", "open-to-all"],
)
def test_a_configuration_that_can_not_be_is_said_in_a_sentence(
    stopped: GatewayProcess, text: str, sentence: str
) -> None:
    (stopped.folder / "sluice.yaml").write_text(text, "utf-8")

    assert sentence in first_fault(stopped)


def test_a_kafka_that_is_named_and_not_there_is_said_and_none_is_started_instead(stopped: GatewayProcess) -> None:
    said = first_fault(stopped, SLUICE_KAFKA="127.0.0.1:1")

    assert said == "sluice: Kafka at 127.0.0.1:1 does not answer; is it running? SLUICE_KAFKA names it"
    assert not (stopped.folder / "state" / "kafka").exists()


def test_a_stage_that_can_not_start_ends_the_start_and_says_why(stopped: GatewayProcess) -> None:
    (stopped.folder / "state").mkdir()
    (stopped.folder / "state" / "clickhouse").write_text("no folder")

    ended = stopped.run("up")

    assert ended.returncode == 1
    assert "`sluice run audit` exited with code" in ended.stderr.splitlines()[-1]
    assert stopped.processes() == []


def test_ctrl_c_during_the_start_leaves_nothing_behind(stopped: GatewayProcess) -> None:
    starting = stopped.popen("up", "--json")
    deadline = time.monotonic() + 60
    while not any("kafka.Kafka" in command for command in stopped.processes()):
        assert time.monotonic() < deadline
        time.sleep(0.05)  # polling with a deadline

    starting.send_signal(signal.SIGINT)

    assert starting.wait(30) == 130
    assert stopped.processes() == []


def test_a_second_gateway_over_the_same_data_is_refused_and_the_first_goes_on(gateway: GatewayProcess) -> None:
    ended = gateway.run("up")

    assert ended.returncode == 1
    assert "another `sluice up` runs over" in ended.stderr
    assert gateway.chat("still there?")[0] == 200


# --- the commands, beside the running gateway


def test_a_query_is_answered_for_people_and_for_programs(gateway: GatewayProcess) -> None:
    gateway.chat("count me")
    gateway.until_rows("SELECT 1 FROM requests")

    people, program = (gateway.run("query", "SELECT count() AS n FROM requests", *more) for more in ([], ["--json"]))

    assert people.returncode == program.returncode == 0
    assert "n" in people.stdout
    assert int(json.loads(program.stdout)["data"][0]["n"]) >= 1


def test_a_query_that_is_wrong_is_a_line_and_writing_is_refused(gateway: GatewayProcess) -> None:
    for sql in ("SELECT nonsense FROM nowhere", "DROP TABLE events_log"):
        ended = gateway.run("query", sql)

        assert ended.returncode == 1
        assert ended.stderr.startswith("sluice: ")
        assert "Traceback" not in ended.stderr


def test_topics_and_tables_are_all_there_already(gateway: GatewayProcess) -> None:
    topics = gateway.run("topics", "--json")
    migrate = gateway.run("migrate", "--json")

    assert json.loads(topics.stdout) == {"created": []}
    assert (migrate.returncode, migrate.stdout) in {(0, '{"applied": []}\n'), (1, "")}
    assert "Traceback" not in migrate.stderr


def test_the_doctor_finds_nothing_wrong_with_what_runs(gateway: GatewayProcess) -> None:
    findings = {finding["check"]: finding for finding in json.loads(gateway.run("doctor", "--json").stdout)}

    looks = ("configuration", "ingress", "Kafka", "topics", "stages", "backlog", "ClickHouse", "newest row")
    assert [findings[what]["message"] for what in looks if not findings[what]["ok"]] == []


def test_the_doctor_names_all_that_is_wrong_where_nothing_runs(stopped: GatewayProcess) -> None:
    ended = stopped.run("doctor")

    assert ended.returncode == 1
    bad = [line.split()[1] for line in ended.stdout.splitlines() if line.startswith("BAD")]
    assert bad[:2] == ["ingress", "Kafka"]
    assert ended.stdout.count("does not answer") == 1
    assert "sluice up" in ended.stdout
    assert ended.stderr == ""


def test_a_dataset_comes_out_with_its_manifest_and_nothing_is_drawn(gateway: GatewayProcess, tmp_path: Path) -> None:
    gateway.chat("a sluice is a gate on a stream")
    gateway.until_rows("SELECT 1 FROM requests WHERE outcome = 'answered'")
    out = tmp_path / "train.jsonl"

    ended = gateway.run("export", "--out", str(out), "--json")

    assert ended.returncode == 0, ended.stderr
    assert ended.stderr == ""
    assert json.loads(ended.stdout)["examples"] == len(out.read_text("utf-8").splitlines()) > 0
