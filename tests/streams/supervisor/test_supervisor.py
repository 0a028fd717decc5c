"""What `sluice up` decides before and around its processes; that they run is tested in tests/flow/test_running.py."""

from __future__ import annotations

import asyncio
import socket
from pathlib import Path
from typing import Any

import httpx
import pytest

from connectors.kafka.embedded.broker import EmbeddedBroker
from schemas.kafka.stages import STAGES
from streams.config.settings import ConfigurationError, Settings
from streams.supervisor import supervisor
from streams.supervisor.child_process import ChildProcess
from streams.supervisor.preflight import StartError
from streams.supervisor.supervisor import PROCESSES, STOPPING, Supervisor


def made(tmp_path: Path, config: Path | None = None, **content: Any) -> Supervisor:
    settings = Settings.model_validate({"state": tmp_path / "state", "http": {"port": 0}, **content})
    return Supervisor(settings, config, lambda _message: None)


def environ_of(one: Supervisor) -> dict[str, str]:
    return dict(one._children["call"]._environ)


def test_every_stage_has_a_process_and_every_process_is_stopped() -> None:
    stages = [stage for stages in PROCESSES.values() for stage in stages]

    assert sorted(stages) == sorted(("ingress", *STAGES))
    assert sorted(STOPPING) == sorted(PROCESSES)
    assert (STOPPING[0], STOPPING[-1]) == ("ingress", "audit")


def test_the_processes_are_told_where_kafka_and_the_data_and_the_configuration_are(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)

    environ = environ_of(made(tmp_path, Path("own.yaml"), kafka={"port": 1234}))

    assert environ["SLUICE_KAFKA"] == "127.0.0.1:1234"
    assert environ["SLUICE_STATE"] == str(tmp_path / "state")
    assert environ["SLUICE_CONFIG"] == str(tmp_path / "own.yaml")


def test_a_kafka_that_is_named_is_used_and_none_is_started(tmp_path: Path) -> None:
    named = made(tmp_path, kafka={"bootstrap_servers": "k1:9092,k2:9092"})

    assert environ_of(named)["SLUICE_KAFKA"] == "k1:9092,k2:9092"
    assert "broker" not in named.pids
    assert "broker" in made(tmp_path).pids


async def test_an_open_gateway_does_not_start_where_others_reach_it(tmp_path: Path) -> None:
    with pytest.raises(ConfigurationError, match="no keys are configured"):
        await made(tmp_path, http={"host": "0.0.0.0"}).start()


async def test_a_taken_port_is_said_before_anything_runs(tmp_path: Path) -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        one = made(tmp_path, clickhouse={"port": taken.getsockname()[1]})

        with pytest.raises(StartError, match="set SLUICE_CLICKHOUSE_PORT"):
            await one.start()

    assert not any(one.pids.values())
    assert not (tmp_path / "state").exists()


async def test_a_process_that_ended_by_itself_is_not_waited_for(tmp_path: Path) -> None:
    one = made(tmp_path)
    one._children["flow"].exit_code = 1

    with pytest.raises(StartError, match=r"`sluice run filter route reply` exited with code 1"):
        await one._until_ready()


async def test_what_never_gets_ready_is_given_up_with_what_is_missing(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(supervisor, "READY_TIMEOUT_S", 0.3)
    one = made(tmp_path)

    async def answer(_client: object, _url: str) -> httpx.Response:
        return httpx.Response(503, text="a worker for call")

    monkeypatch.setattr(httpx.AsyncClient, "get", answer)

    with pytest.raises(StartError, match="still waiting for a worker for call"):
        await one._until_ready()


async def test_the_door_is_stopped_first_and_the_broker_last(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    one, stopped = made(tmp_path), list[str]()

    async def stop_child(child: ChildProcess) -> None:
        stopped.append(child.name)

    async def stop_broker() -> None:
        stopped.append("broker")

    monkeypatch.setattr(ChildProcess, "stop", stop_child)
    monkeypatch.setattr(one.broker, "stop", stop_broker)
    monkeypatch.setattr(EmbeddedBroker, "pid", 1)

    await asyncio.wait_for(one.stop(), 5)

    assert stopped == [*STOPPING, "broker"]


async def test_without_a_broker_nobody_waits_for_another_to_end(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    one, all_stopping = made(tmp_path), asyncio.Barrier(len(STOPPING))
    stopping = set[str]()

    async def stop_child(child: ChildProcess) -> None:
        if child.name not in stopping:  # the second time it has ended
            stopping.add(child.name)
            await all_stopping.wait()

    monkeypatch.setattr(ChildProcess, "stop", stop_child)

    await asyncio.wait_for(one.stop(), 5)

    assert stopping == set(STOPPING)
