from __future__ import annotations

import socket
from collections.abc import Callable
from pathlib import Path

import pytest

from streams.config.settings import ConfigurationError
from streams.supervisor.preflight import StartError, check_ports, state_lock


def test_one_gateway_at_a_time_has_the_data(tmp_path: Path) -> None:
    taken = pytest.raises(StartError, match=r"another `sluice up` runs over .*SLUICE_STATE")
    with state_lock(tmp_path / "state"), taken, state_lock(tmp_path / "state"):
        pass


def test_the_next_one_has_it_when_the_first_has_ended(tmp_path: Path) -> None:
    with state_lock(tmp_path):
        pass

    with state_lock(tmp_path):
        assert (tmp_path / "lock").exists()


def test_a_folder_that_can_not_be_made_is_said_to_be_so(tmp_path: Path) -> None:
    (tmp_path / "file").touch()

    with (
        pytest.raises(ConfigurationError, match=r"can't be written .*SLUICE_STATE"),
        state_lock(tmp_path / "file" / "state"),
    ):
        pass


def test_a_port_that_is_free_is_fine(free_port: Callable[[], int]) -> None:
    check_ports([("127.0.0.1", free_port(), "SLUICE_HTTP_PORT"), ("::1", 0, "SLUICE_HTTP_PORT")])


def test_a_port_that_somebody_has_is_named_with_its_variable() -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]

        with pytest.raises(StartError, match=f"port {port} is taken by another program; set SLUICE_HTTP_PORT"):
            check_ports([("127.0.0.1", port, "SLUICE_HTTP_PORT")])


@pytest.mark.parametrize("host", ["192.0.2.1", "no such host"])
def test_a_host_that_is_not_this_machine_is_said_to_be_so(host: str) -> None:
    with pytest.raises(StartError, match=f"can't be used on {host}"):
        check_ports([(host, 8080, "SLUICE_HTTP_PORT")])
