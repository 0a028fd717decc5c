"""The whole gateway over a Kafka that wants TLS and a login; and what the commands say of a wrong password."""

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


def over(secured: SecuredBroker, folder: Path) -> GatewayProcess:
    """A gateway on that Kafka, whose password comes from the environment."""
    security = {**secured.settings(MECHANISM), "password": "${KAFKA_PASSWORD}"}
    kafka = {"bootstrap_servers": secured.address(MECHANISM), "security": security, "topic_prefix": "secured."}
    return GatewayProcess(folder, {**CONFIG, "kafka": kafka}).configure()


@pytest.fixture(scope="module")
def running(secured: SecuredBroker, tmp_path_factory: pytest.TempPathFactory) -> Iterator[GatewayProcess]:
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("KAFKA_PASSWORD", PASSWORD)
        gateway = over(secured, tmp_path_factory.mktemp("secured-gateway")).start()
        yield gateway
        assert gateway.stop() == 0


def ask(secured: SecuredBroker, body: dict[str, object]) -> Message:
    """As a service does that has librdkafka and a login of its own kind."""
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


def test_a_request_over_kafka_comes_back_as_a_reply(secured: SecuredBroker, running: GatewayProcess) -> None:
    reply = ask(secured, {"model": "demo", "messages": [{"role": "user", "content": "Hello through TLS"}]})

    headers = dict(reply.headers() or [])
    assert headers["correlation-id"] == b"\x80\xff"
    assert headers["sluice-outcome"] == b"answered"
    assert b"Hello through TLS" in (reply.value() or b"")


def test_a_request_over_http_is_answered_and_on_the_record(running: GatewayProcess) -> None:
    status, headers, _ = running.chat("Hello over both")

    assert status == 200
    running.until_rows(f"SELECT outcome FROM requests WHERE request_id = '{headers['x-request-id']}'")


def test_the_commands_get_in_too(running: GatewayProcess) -> None:
    topics, doctor = running.run("topics"), running.run("doctor", "--json")

    assert (topics.returncode, topics.stdout.strip()) == (0, "all topics are there"), topics.stderr
    assert {finding["check"] for finding in json.loads(doctor.stdout) if not finding["ok"]} == set()


def test_no_secret_is_kept_or_printed(running: GatewayProcess) -> None:
    running.until_rows("SELECT 1 FROM events WHERE event_type = 'ConfigurationApplied'")

    kept = [file for file in (running.folder / "state").rglob("*") if file.is_file()]

    assert kept
    assert [str(file) for file in kept if PASSWORD.encode() in file.read_bytes()] == []


@pytest.mark.parametrize("command", [("topics",), ("run", "filter"), ("run", "ingress"), ("up",)], ids=" ".join)
def test_a_wrong_password_ends_a_command_with_one_sentence(
    command: tuple[str, ...], secured: SecuredBroker, tmp_path: Path
) -> None:
    gateway = over(secured, tmp_path)
    began = time.monotonic()

    ended = gateway.run(*command, KAFKA_PASSWORD="canary-wrong")

    assert ended.returncode == 1
    assert [line for line in ended.stderr.splitlines() if REFUSED in line] == ended.stderr.splitlines()[-1:]
    assert "Traceback" not in ended.stderr
    assert "canary" not in ended.stderr + ended.stdout
    assert time.monotonic() - began < 40


def test_the_doctor_names_a_wrong_password(secured: SecuredBroker, tmp_path: Path) -> None:
    ended = over(secured, tmp_path).run("doctor", "--json", KAFKA_PASSWORD="canary-wrong")

    assert ended.returncode == 1
    says = [finding["message"] for finding in json.loads(ended.stdout) if not finding["ok"]]
    assert says.count(f"Kafka at {secured.address(MECHANISM)} {REFUSED}") == 1
    assert "canary" not in ended.stdout + ended.stderr


def test_the_environment_alone_can_say_all_of_it(secured: SecuredBroker, tmp_path: Path) -> None:
    settings = secured.settings(MECHANISM)
    names = {"SASL_MECHANISM": "sasl_mechanism", "SSL_CAFILE": "ssl_cafile"}
    said = {name: settings[name.lower()] for name in ("SECURITY_PROTOCOL", "USERNAME", "PASSWORD")}
    said |= {name: settings[key] for name, key in names.items()}
    environ = {f"SLUICE_KAFKA_{name}": value for name, value in said.items()}
    gateway = GatewayProcess(tmp_path, {"kafka": {"topic_prefix": f"t{uuid.uuid4().hex[:8]}."}}).configure()

    made = gateway.run("topics", SLUICE_KAFKA=secured.address(MECHANISM), **environ)

    assert made.returncode == 0, made.stderr
    assert made.stdout.startswith("created ")
