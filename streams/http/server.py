"""uvicorn as one part of a process, which has other work to finish when it receives a signal."""

from __future__ import annotations

import contextlib
import socket
from collections.abc import Iterator

import uvicorn

from streams.config.settings import ConfigurationError

BACKLOG = 2048
"""Connections that the kernel queues until the server accepts them."""


class Server(uvicorn.Server):
    """uvicorn's server without its signal handlers: ``streams.app`` handles signals for the whole process."""

    @contextlib.contextmanager
    def capture_signals(self) -> Iterator[None]:
        """Install no handler."""
        yield


@contextlib.contextmanager
def listening(host: str, port: int, variable: str) -> Iterator[socket.socket]:
    """Open a listening socket, and close it after the block.

    Args:
        host: address or name of this machine.
        port: 0 for any free port.
        variable: name of the environment variable that sets the port.

    Raises:
        ConfigurationError: the address can't be used, for example because the port is taken.

    """
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    try:
        listener = socket.create_server((host, port), family=family, backlog=BACKLOG)
    except OSError as error:
        raise ConfigurationError(
            f"can't listen on {host}:{port} ({error.strerror}); set {variable} to another port"
        ) from None
    with listener:
        yield listener
