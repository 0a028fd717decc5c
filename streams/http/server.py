"""uvicorn as a part of a process of ours, which has other work to finish than HTTP when it is told to stop."""

from __future__ import annotations

import contextlib
import socket
from collections.abc import Iterator

import uvicorn

from streams.config.settings import ConfigurationError

BACKLOG = 2048
"""Connections that the kernel keeps for us until we take them."""


class Server(uvicorn.Server):
    """uvicorn, but for the signals: they belong to whoever runs the process."""

    @contextlib.contextmanager
    def capture_signals(self) -> Iterator[None]:
        """Capture none."""
        yield


@contextlib.contextmanager
def listening(host: str, port: int, variable: str) -> Iterator[socket.socket]:
    """A socket that listens there, closed behind the block.

    Args:
        host: of this machine.
        port: 0 for any that is free.
        variable: of the environment, that names the port.

    Raises:
        ConfigurationError: it can't be had.

    """
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    try:
        listener = socket.create_server((host, port), family=family, backlog=BACKLOG)
    except OSError as error:
        raise ConfigurationError(
            f"can't listen on {host}:{port} ({error.strerror}); {variable} names another"
        ) from None
    with listener:
        yield listener
