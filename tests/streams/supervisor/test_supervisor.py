"""Decisions of `sluice up` around its processes; tests/flow/test_running.py tests that they run."""

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


def make_supervisor(tmp_path: Path, config: Path | None = None, **content: Any) -> Supervisor:
    settings = Settings.model_validate({"state": tmp_path / "state", "http": {"port": 0}, **content})
    return Supervisor(settings, config, lambda _message: None)


def environ_of(gateway: Supervisor) -> dict[str, str]:
    return dict(gateway._children["call"]._environ)


def test_each_stage_has_a_process_and_each_process_is_stopped() -> None:
    stages = [stage for stages in PROCESSES.values() for stage in stages]

    assert sorted(stages) == sorted(("ingress", *STAGES))
    assert sorted(STOPPING) == sorted(PROCESSES)
    assert (STOPPING[0], STOPPING[-1]) == ("ingress", "audit")


def test_children_get_the_addresses_of_kafka_data_and_configuration(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)

    environ = environ_of(make_supervisor(tmp_path, Path("own.yaml"), kafka={"port": 1234}))

    assert environ["SLUICE_KAFKA"] == "127.0.0.1:1234"
    assert environ["SLUICE_STATE"] == str(tmp_path / "state")
    assert environ["SLUICE_CONFIG"] == str(tmp_path / "own.yaml")


def test_configured_kafka_is_used_and_none_is_started(tmp_path: Path) -> None:
    gateway = make_supervisor(tmp_path, kafka={"bootstrap_servers": "k1:9092,k2:9092"})

    assert environ_of(gateway)["SLUICE_KAFKA"] == "k1:9092,k2:9092"
    assert "broker" not in gateway.pids
    assert "broker" in make_supervisor(tmp_path).pids


async def test_gateway_without_keys_does_not_start_on_a_public_address(tmp_path: Path) -> None:
    with pytest.raises(ConfigurationError, match="no keys are configured"):
        await make_supervisor(tmp_path, http={"host": "0.0.0.0"}).start()


async def test_taken_port_is_an_error_before_anything_starts(tmp_path: Path) -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        gateway = make_supervisor(tmp_path, clickhouse={"port": taken.getsockname()[1]})

        with pytest.raises(StartError, match="set SLUICE_CLICKHOUSE_PORT"):
            await gateway.start()

    assert not any(gateway.pids.values())
    assert not (tmp_path / "state").exists()


async def test_start_fails_if_a_child_exits(tmp_path: Path) -> None:
    gateway = make_supervisor(tmp_path)
    gateway._children["flow"].exit_code = 1

    with pytest.raises(StartError, match=r"`sluice run filter route reply` exited with code 1"):
        await gateway._until_ready()


async def test_start_timeout_names_the_missing_part(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(supervisor, "READY_TIMEOUT_S", 0.3)
    gateway = make_supervisor(tmp_path)

    async def answer(_client: object, _url: str) -> httpx.Response:
        return httpx.Response(503, text="a worker for call")

    monkeypatch.setattr(httpx.AsyncClient, "get", answer)

    with pytest.raises(StartError, match="still waiting for a worker for call"):
        await gateway._until_ready()


async def test_stop_order_is_ingress_first_and_broker_last(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    gateway, stopped = make_supervisor(tmp_path), list[str]()

    async def stop_child(child: ChildProcess) -> None:
        stopped.append(child.name)

    async def stop_broker() -> None:
        stopped.append("broker")

    monkeypatch.setattr(ChildProcess, "stop", stop_child)
    monkeypatch.setattr(gateway.broker, "stop", stop_broker)
    monkeypatch.setattr(EmbeddedBroker, "pid", 1)

    await asyncio.wait_for(gateway.stop(), 5)

    assert stopped == [*STOPPING, "broker"]


async def test_children_stop_together_without_a_broker(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    gateway, all_stopping = make_supervisor(tmp_path), asyncio.Barrier(len(STOPPING))
    stopping = set[str]()

    async def stop_child(child: ChildProcess) -> None:
        if child.name not in stopping:  # the second call is for a child that has exited
            stopping.add(child.name)
            await all_stopping.wait()

    monkeypatch.setattr(ChildProcess, "stop", stop_child)

    await asyncio.wait_for(gateway.stop(), 5)

    assert stopping == set(STOPPING)
