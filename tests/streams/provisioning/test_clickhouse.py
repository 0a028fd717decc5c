from __future__ import annotations

import fcntl
import os
import socket
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from connectors.clickhouse import ClickHouseError
from connectors.clickhouse.embedded.credentials import hash_of
from streams.config.settings import Settings
from streams.provisioning import clickhouse as stores


def settings(tmp_path: Path, **clickhouse: Any) -> Settings:
    return Settings.model_validate({"state": tmp_path, "clickhouse": clickhouse})


def test_configured_server_is_used_and_its_password_is_not_shown(tmp_path: Path) -> None:
    configured = settings(tmp_path, url="http://me:sk-secret@ch:8123", database="own")

    for store in (stores.open_writer(configured), stores.open_reader(configured)):
        assert (store.address, store.database) == ("http://ch:8123", "own")


def test_default_is_chdb_under_the_state_directory(tmp_path: Path, free_port: Callable[[], int]) -> None:
    configured = settings(tmp_path, port=free_port())
    stores.chdb_path(configured).mkdir()

    assert (
        stores.open_writer(configured).address == stores.open_reader(configured).address == str(tmp_path / "clickhouse")
    )


def test_reader_without_data_is_an_error_and_creates_nothing(tmp_path: Path, free_port: Callable[[], int]) -> None:
    with pytest.raises(ClickHouseError, match=r"no gateway answers .* SLUICE_STATE"):
        stores.open_reader(settings(tmp_path, port=free_port()))

    assert list(tmp_path.iterdir()) == []


def test_reader_uses_the_endpoint_of_a_running_gateway(tmp_path: Path) -> None:
    with socket.create_server(("127.0.0.1", 0)) as running:
        port = running.getsockname()[1]

        assert stores.open_reader(settings(tmp_path, port=port)).address == f"http://127.0.0.1:{port}"


def test_locked_files_are_an_error_for_readers_and_writers(tmp_path: Path, free_port: Callable[[], int]) -> None:
    configured = settings(tmp_path, port=free_port())
    stores.chdb_path(configured).mkdir()
    with (stores.chdb_path(configured) / "status").open("w") as status:
        fcntl.flock(status, fcntl.LOCK_EX)
        status.write(f"PID: {os.getppid()}\n")
        status.flush()

        with pytest.raises(
            ClickHouseError, match=r"in use: the gateway is starting or stopping.*; try again in a moment"
        ):
            stores.open_reader(configured).rows("SELECT 1")
        with pytest.raises(ClickHouseError, match=r"in use: a gateway is running, which updates the tables itself"):
            stores.open_writer(configured).migrate()


def test_reader_can_not_write(tmp_path: Path) -> None:
    assert stores.open_reader(settings(tmp_path, url="http://ch:8123")).read_only
    assert not stores.open_writer(settings(tmp_path, url="http://ch:8123")).read_only


def test_readers_are_keys_with_a_role_and_the_local_token(tmp_path: Path, free_port: Callable[[], int]) -> None:
    hashes = [f"sha256:{digit * 64}" for digit in "abc"]
    roles: list[list[str]] = [[], ["analyst"], ["operator"]]
    keys = [{"id": f"k{n}", "tenant": "default", "hash": hashes[n], "roles": roles[n]} for n in range(3)]
    configured = Settings.model_validate({"state": tmp_path, "keys": keys, "clickhouse": {"port": free_port()}})

    readers, again = stores.open_readers(configured), stores.open_readers(configured)

    token = tmp_path / "clickhouse.token"
    assert readers == again == {hashes[1]: ["default"], hashes[2]: None, hash_of(token.read_text()): None}
    assert token.stat().st_mode & 0o777 == 0o600
    assert token.read_text() in stores.local_url(configured)
    assert [path.name for path in tmp_path.iterdir()] == ["clickhouse.token"]


def test_without_keys_the_port_has_no_readers_and_no_token(tmp_path: Path) -> None:
    assert stores.open_readers(settings(tmp_path)) is None
    assert stores.local_url(settings(tmp_path)) == "http://127.0.0.1:8123"
    assert list(tmp_path.iterdir()) == []


def test_unknown_role_is_refused(tmp_path: Path) -> None:
    key = {"id": "k", "tenant": "default", "hash": f"sha256:{'a' * 64}", "roles": ["admin"]}

    with pytest.raises(ValueError, match="roles"):
        Settings.model_validate({"state": tmp_path, "keys": [key]})
