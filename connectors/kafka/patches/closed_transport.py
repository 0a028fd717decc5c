"""A write to a closed connection raises a lost connection on uvloop, as aiokafka expects.

asyncio's own loop drops the bytes. uvloop raises RuntimeError, which aiokafka does not handle: it ends the client's
metadata task, and from then on that client looks for its group's coordinator for ever. This happened in one of four
restarts of a broker under load: the worker neither committed nor left its group, and logged nothing.
"""

from __future__ import annotations

from typing import Any

from aiokafka.conn import AIOKafkaConnection, CloseReason
from aiokafka.errors import KafkaConnectionError


def apply() -> None:
    """Make every connection of this process raise KafkaConnectionError in place of RuntimeError."""
    original = AIOKafkaConnection.send

    def send(connection: AIOKafkaConnection, *request: Any, **options: Any) -> Any:  # noqa: ANN401 - aiokafka's own
        try:
            return original(connection, *request, **options)
        except RuntimeError as error:
            connection.close(reason=CloseReason.CONNECTION_BROKEN, exc=error)
            raise KafkaConnectionError(f"Connection at {connection.host}:{connection.port} is closed") from error

    AIOKafkaConnection.send = send
