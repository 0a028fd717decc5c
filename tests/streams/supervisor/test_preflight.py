from __future__ import annotations

import socket
from collections.abc import Callable
from pathlib import Path

import pytest

from streams.config.settings import ConfigurationError
from streams.supervisor.preflight import StartError, check_ports, state_lock


def test_state_lock_excludes_a_second_gateway(tmp_path: Path) -> None:
    start_error = pytest.raises(StartError, match=r"another `sluice up` uses .*SLUICE_STATE")
    with state_lock(tmp_path / "state"), start_error, state_lock(tmp_path / "state"):
        pass


def test_state_lock_is_free_after_release(tmp_path: Path) -> None:
    with state_lock(tmp_path):
        pass

    with state_lock(tmp_path):
        assert (tmp_path / "lock").exists()


def test_state_directory_that_can_not_be_created_is_an_error(tmp_path: Path) -> None:
    (tmp_path / "file").touch()

    with (
        pytest.raises(ConfigurationError, match=r"can't be written .*SLUICE_STATE"),
        state_lock(tmp_path / "file" / "state"),
    ):
        pass


def test_check_ports_accepts_free_ports(free_port: Callable[[], int]) -> None:
    check_ports([("127.0.0.1", free_port(), "SLUICE_HTTP_PORT"), ("::1", 0, "SLUICE_HTTP_PORT")])


def test_check_ports_names_a_taken_port_and_its_variable() -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]

        with pytest.raises(StartError, match=f"port {port} is taken by another program; set SLUICE_HTTP_PORT"):
            check_ports([("127.0.0.1", port, "SLUICE_HTTP_PORT")])


@pytest.mark.parametrize("host", ["192.0.2.1", "no such host"])
def test_check_ports_rejects_a_host_of_another_machine(host: str) -> None:
    with pytest.raises(StartError, match=f"can't be used on {host}"):
        check_ports([(host, 8080, "SLUICE_HTTP_PORT")])
