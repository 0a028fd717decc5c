"""A write to a connection that has just been closed is a lost connection, also on uvloop.

asyncio's own loop drops the bytes; uvloop raises RuntimeError, for which aiokafka is not prepared: its metadata task
dies of it, and from then on that client looks for its group's coordinator for ever. Seen in one of four restarts of a
broker under load: the worker neither committed nor left, and said nothing.
"""

from __future__ import annotations

from typing import Any

from aiokafka.conn import AIOKafkaConnection, CloseReason
from aiokafka.errors import KafkaConnectionError


def apply() -> None:
    """Make every connection of this process say so in the way that its users understand. Twice is as good as once."""
    send = AIOKafkaConnection.send
    if getattr(send, "mended", False):
        return

    def mended(connection: AIOKafkaConnection, *request: Any, **options: Any) -> Any:  # noqa: ANN401 - aiokafka's own
        try:
            return send(connection, *request, **options)
        except RuntimeError as error:
            connection.close(reason=CloseReason.CONNECTION_BROKEN, exc=error)
            raise KafkaConnectionError(f"Connection at {connection.host}:{connection.port} is closed") from error

    mended.mended = True  # type: ignore[attr-defined]
    AIOKafkaConnection.send = mended
