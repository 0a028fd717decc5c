from __future__ import annotations

import os
import subprocess
import sys

import pytest

from streams.call.idempotency.worker_id import current_worker_id, is_dead

NODE = os.uname().nodename


def test_current_worker_id_names_host_process_and_start_time() -> None:
    node, pid, started_at = current_worker_id().split("/")

    assert (node, pid) == (NODE, str(os.getpid()))
    assert int(started_at, 16) > 0


def test_current_worker_is_not_dead() -> None:
    assert not is_dead(current_worker_id())


def test_earlier_process_with_the_same_pid_is_dead() -> None:
    assert is_dead(f"{NODE}/{os.getpid()}/1")


def test_exited_process_of_this_machine_is_dead() -> None:
    child = subprocess.Popen([sys.executable, "-c", ""])
    child.wait()

    assert is_dead(f"{NODE}/{child.pid}/1")


def test_running_process_of_this_machine_is_not_dead() -> None:
    assert not is_dead(f"{NODE}/{os.getppid()}/1")


def test_process_of_another_user_is_not_dead(monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(*_: object) -> None:
        raise PermissionError

    monkeypatch.setattr(os, "kill", refuse)

    assert not is_dead(f"{NODE}/1/1")


@pytest.mark.parametrize("worker", ["another-machine/1/1", f"{NODE}/none/1", "w1", ""])
def test_worker_of_another_machine_or_without_a_pid_is_not_dead(worker: str) -> None:
    assert not is_dead(worker)
