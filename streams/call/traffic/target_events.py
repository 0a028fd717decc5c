"""Publisher of the targets' state changes."""

from __future__ import annotations

import asyncio
from collections import deque

from schemas.events.catalog import TargetStateChanged
from schemas.kafka.topics import Topic
from streams.pipeline.producer_records import target_event_record
from streams.pipeline.stage import Emit


class TargetEventPublisher:
    """Writes the state changes of the targets to the log in background tasks, so that no request waits for them.

    Args:
        pending: the events to publish; ``publish`` removes them.
        topic: where they are written.
        stage: name of the stage, the source of the events.

    """

    def __init__(self, pending: deque[TargetStateChanged], topic: Topic, stage: str) -> None:
        self._pending = pending
        self._topic = topic
        self._stage = stage
        self._tasks: set[asyncio.Task[None]] = set()

    def publish(self, emit: Emit) -> None:
        """Start to write the pending events; return at once."""
        while self._pending:
            output = target_event_record(self._pending.popleft(), self._topic, self._stage)
            task = asyncio.ensure_future(emit(output))
            self._tasks.add(task)
            task.add_done_callback(self._tasks.discard)

    def close(self) -> None:
        """Cancel the writes that have not finished."""
        for task in self._tasks:
            task.cancel()
