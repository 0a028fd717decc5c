"""What a gateway must have for itself alone: the folder of its data, and the ports that it listens on."""

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
    """Hold the state directory: two gateways over the same data would harm it.

    Raises:
        ConfigurationError: it can't be written.
        StartError: somebody else holds it.

    """
    try:
        state.mkdir(parents=True, exist_ok=True)
        lock = (state / "lock").open("a")
    except OSError as error:
        raise ConfigurationError(
            f"{state}: can't be written ({error.strerror}); SLUICE_STATE names another place"
        ) from None
    with lock:
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError:
            raise StartError(f"another `sluice up` runs over {state}; stop it, or set SLUICE_STATE") from None
        yield


def check_ports(wanted: Iterable[tuple[str, int, str]]) -> None:
    """See that nobody else listens there, before anything is started.

    Args:
        wanted: host, port, and the variable that names another port.

    Raises:
        StartError: somebody does, or the host is not this machine's.

    """
    for host, port, variable in wanted:
        with socket.socket(socket.AF_INET6 if ":" in host else socket.AF_INET) as probe:
            probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            try:
                probe.bind((host, port))
            except OSError as error:
                taken = error.errno == errno.EADDRINUSE
                why = "is taken by another program" if taken else f"can't be used on {host} ({error.strerror})"
                raise StartError(f"port {port} {why}; set {variable} to a free one") from None
