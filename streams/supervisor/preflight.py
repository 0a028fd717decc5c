"""Preflight checks of `sluice up`: the lock of the state directory, and free ports."""

from __future__ import annotations

import contextlib
import errno
import fcntl
import socket
from collections.abc import Iterable, Iterator
from pathlib import Path

from schemas.errors import UserError
from streams.config.settings import ConfigurationError


class StartError(UserError):
    """The gateway can't start. The message is one sentence that says what to do."""


@contextlib.contextmanager
def state_lock(state: Path) -> Iterator[None]:
    """Lock the state directory: two gateways would corrupt its data.

    Raises:
        ConfigurationError: the directory is not writable.
        StartError: another process holds the lock.

    """
    try:
        state.mkdir(parents=True, exist_ok=True)
        lock = (state / "lock").open("a")
    except OSError as error:
        raise ConfigurationError(
            f"{state}: can't be written ({error.strerror}); set SLUICE_STATE to another directory"
        ) from None
    with lock:
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError:
            raise StartError(
                f"another `sluice up` uses {state}; stop it, or set SLUICE_STATE to another directory"
            ) from None
        yield


def check_ports(listeners: Iterable[tuple[str, int, str]]) -> None:
    """Check that the ports are free.

    Args:
        listeners: host, port, and the environment variable that sets the port.

    Raises:
        StartError: a port is taken, or the host is not an address of this machine.

    """
    for host, port, variable in listeners:
        with socket.socket(socket.AF_INET6 if ":" in host else socket.AF_INET) as probe:
            probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            try:
                probe.bind((host, port))
            except OSError as error:
                taken = error.errno == errno.EADDRINUSE
                why = "is taken by another program" if taken else f"can't be used on {host} ({error.strerror})"
                raise StartError(f"port {port} {why}; set {variable} to a free one") from None
