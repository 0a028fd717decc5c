from __future__ import annotations

import fcntl
import os
import socket
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from connectors.clickhouse import ClickHouseError
from streams.config.settings import Settings
from streams.provisioning import clickhouse as stores


def settings(tmp_path: Path, **clickhouse: Any) -> Settings:
    return Settings.model_validate({"state": tmp_path, "clickhouse": clickhouse})


def test_a_server_that_is_configured_is_written_to_and_read_from_and_its_password_is_not_told(tmp_path: Path) -> None:
    configured = settings(tmp_path, url="http://me:sk-secret@ch:8123", database="own")

    for store in (stores.open_writer(configured), stores.open_reader(configured)):
        assert (store.address, store.database) == ("http://ch:8123", "own")


def test_without_one_the_engine_is_in_process_under_the_state(tmp_path: Path, free_port: Callable[[], int]) -> None:
    configured = settings(tmp_path, port=free_port())
    stores.chdb_path(configured).mkdir()

    assert (
        stores.open_writer(configured).address == stores.open_reader(configured).address == str(tmp_path / "clickhouse")
    )


def test_a_reader_in_the_wrong_folder_is_told_so_and_makes_nothing_there(
    tmp_path: Path, free_port: Callable[[], int]
) -> None:
    with pytest.raises(ClickHouseError, match=r"no gateway answers .* SLUICE_STATE"):
        stores.open_reader(settings(tmp_path, port=free_port()))

    assert list(tmp_path.iterdir()) == []


def test_readers_ask_the_gateway_that_runs_since_it_has_the_files(tmp_path: Path) -> None:
    with socket.create_server(("127.0.0.1", 0)) as running:
        port = running.getsockname()[1]

        assert stores.open_reader(settings(tmp_path, port=port)).address == f"http://127.0.0.1:{port}"


def test_while_the_gateway_has_the_files_and_answers_nobody_yet_readers_and_writers_are_told_what_to_do(
    tmp_path: Path, free_port: Callable[[], int]
) -> None:
    configured = settings(tmp_path, port=free_port())
    stores.chdb_path(configured).mkdir()
    with (stores.chdb_path(configured) / "status").open("w") as status:
        fcntl.flock(status, fcntl.LOCK_EX)
        status.write(f"PID: {os.getppid()}\n")
        status.flush()

        with pytest.raises(
            ClickHouseError, match=r"in use: the gateway is starting or stopping.*: try again in a moment"
        ):
            stores.open_reader(configured).rows("SELECT 1")
        with pytest.raises(ClickHouseError, match=r"in use: a gateway runs, and brings the tables up to date itself"):
            stores.open_writer(configured).migrate()


def test_whoever_reads_may_not_write(tmp_path: Path) -> None:
    assert stores.open_reader(settings(tmp_path, url="http://ch:8123")).read_only
    assert not stores.open_writer(settings(tmp_path, url="http://ch:8123")).read_only
