"""Tests of the whole gateway on a Kafka with TLS and SCRAM, and of the commands with a wrong password."""

from __future__ import annotations

import json
import time
import uuid
from collections.abc import Iterator
from pathlib import Path

import pytest
from confluent_kafka import Consumer, Message, Producer
from confluent_kafka.admin import AdminClient
from confluent_kafka.cimpl import NewTopic

from tests.fixtures.gateway import CONFIG, GatewayProcess
from tests.fixtures.secured import PASSWORD, USER, SecuredBroker

pytestmark = [pytest.mark.flow, pytest.mark.timeout(300)]

MECHANISM = "SCRAM-SHA-512"
REFUSED = f"refuses our login by {MECHANISM}; check username and password under kafka.security"


def gateway_on(secured: SecuredBroker, folder: Path) -> GatewayProcess:
    """Return a gateway on this Kafka, with the password from the environment."""
    security = {**secured.settings(MECHANISM), "password": "${KAFKA_PASSWORD}"}
    kafka = {"bootstrap_servers": secured.address(MECHANISM), "security": security, "topic_prefix": "secured."}
    return GatewayProcess(folder, {**CONFIG, "kafka": kafka}).configure()


@pytest.fixture(scope="module")
def running(secured: SecuredBroker, tmp_path_factory: pytest.TempPathFactory) -> Iterator[GatewayProcess]:
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("KAFKA_PASSWORD", PASSWORD)
        gateway = gateway_on(secured, tmp_path_factory.mktemp("secured-gateway")).start()
        yield gateway
        assert gateway.stop() == 0


def ask(secured: SecuredBroker, body: dict[str, object]) -> Message:
    """Send a request with librdkafka and wait for the reply."""
    config: dict[str, str | int | float | bool] = {
        "bootstrap.servers": secured.address(MECHANISM),
        "security.protocol": "SASL_SSL",
        "sasl.mechanism": MECHANISM,
        "sasl.username": USER,
        "sasl.password": PASSWORD,
        "ssl.ca.location": str(secured.authority.file),
    }
    topic = f"secured.replies.{uuid.uuid4().hex[:8]}"
    admin = AdminClient(config)
    for future in admin.create_topics([NewTopic(topic, 1, 1)]).values():
        future.result(20)
    consumer = Consumer({**config, "group.id": topic, "auto.offset.reset": "earliest"})
    consumer.subscribe([topic])
    producer = Producer(config)
    headers = [("reply-topic", topic.encode()), ("correlation-id", b"\x80\xff")]
    producer.produce("secured.requests.v1", json.dumps(body).encode(), b"mine", headers=[*headers])
    assert producer.flush(20) == 0
    deadline = time.monotonic() + 40
    try:
        while time.monotonic() < deadline:
            message = consumer.poll(0.2)
            if message is not None and message.error() is None:
                return message
    finally:
        consumer.close()
    raise AssertionError("no reply came")


def test_request_over_kafka_gets_its_reply(secured: SecuredBroker, running: GatewayProcess) -> None:
    reply = ask(secured, {"model": "demo", "messages": [{"role": "user", "content": "Hello through TLS"}]})

    headers = dict(reply.headers() or [])
    assert headers["correlation-id"] == b"\x80\xff"
    assert headers["sluice-outcome"] == b"answered"
    assert b"Hello through TLS" in (reply.value() or b"")


def test_request_over_http_is_answered_and_recorded(running: GatewayProcess) -> None:
    status, headers, _ = running.chat("Hello over both")

    assert status == 200
    running.until_rows(f"SELECT outcome FROM requests WHERE request_id = '{headers['x-request-id']}'")


def test_commands_can_connect(running: GatewayProcess) -> None:
    topics, doctor = running.run("topics"), running.run("doctor", "--json")

    assert (topics.returncode, topics.stdout.strip()) == (0, "all topics exist"), topics.stderr
    assert {finding["check"] for finding in json.loads(doctor.stdout) if not finding["ok"]} == set()


def test_password_is_in_no_file_of_the_state(running: GatewayProcess) -> None:
    running.until_rows("SELECT 1 FROM events WHERE event_type = 'ConfigurationApplied'")

    files = [file for file in (running.folder / "state").rglob("*") if file.is_file()]

    assert files
    assert [str(file) for file in files if PASSWORD.encode() in file.read_bytes()] == []


@pytest.mark.parametrize("command", [("topics",), ("run", "filter"), ("run", "ingress"), ("up",)], ids=" ".join)
def test_command_with_a_wrong_password_fails_with_one_sentence(
    command: tuple[str, ...], secured: SecuredBroker, tmp_path: Path
) -> None:
    gateway = gateway_on(secured, tmp_path)
    started = time.monotonic()

    result = gateway.run(*command, KAFKA_PASSWORD="canary-wrong")

    assert result.returncode == 1
    assert [line for line in result.stderr.splitlines() if REFUSED in line] == result.stderr.splitlines()[-1:]
    assert "Traceback" not in result.stderr
    assert "canary" not in result.stderr + result.stdout
    assert time.monotonic() - started < 40


def test_doctor_reports_a_wrong_password(secured: SecuredBroker, tmp_path: Path) -> None:
    result = gateway_on(secured, tmp_path).run("doctor", "--json", KAFKA_PASSWORD="canary-wrong")

    assert result.returncode == 1
    says = [finding["message"] for finding in json.loads(result.stdout) if not finding["ok"]]
    assert says.count(f"Kafka at {secured.address(MECHANISM)} {REFUSED}") == 1
    assert "canary" not in result.stdout + result.stderr


def test_environment_variables_alone_configure_the_login(secured: SecuredBroker, tmp_path: Path) -> None:
    settings = secured.settings(MECHANISM)
    names = {"SASL_MECHANISM": "sasl_mechanism", "SSL_CAFILE": "ssl_cafile"}
    values = {name: settings[name.lower()] for name in ("SECURITY_PROTOCOL", "USERNAME", "PASSWORD")}
    values |= {name: settings[key] for name, key in names.items()}
    environ = {f"SLUICE_KAFKA_{name}": value for name, value in values.items()}
    gateway = GatewayProcess(tmp_path, {"kafka": {"topic_prefix": f"t{uuid.uuid4().hex[:8]}."}}).configure()

    created = gateway.run("topics", SLUICE_KAFKA=secured.address(MECHANISM), **environ)

    assert created.returncode == 0, created.stderr
    assert created.stdout.startswith("created ")
