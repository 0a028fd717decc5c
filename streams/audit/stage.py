"""Audit stage: writes every record of every topic to ClickHouse."""

from __future__ import annotations

import asyncio
import contextlib
from collections import defaultdict
from collections.abc import Iterable, Sequence
from hashlib import blake2b

import structlog

from connectors.clickhouse import ClickHouseClient, ClickHouseError
from connectors.clickhouse.embedded.endpoint import Endpoint
from connectors.clickhouse.embedded.part_integrity import PartIntegrity
from schemas.kafka.records import ConsumerRecord
from schemas.kafka.topics import Topics
from streams.audit.row_builder import RowBuilder
from streams.audit.tables import EVENTS, REQUESTS, Rows, Table
from streams.pipeline.stage import SinkStage

log = structlog.get_logger()


class AuditStage(SinkStage):
    """Inserts each batch with one insert per table, in a thread, so that the event loop is not blocked.

    A batch mixes partitions. One insert per partition, as Kafka Connect does it, took 271 ms of CPU in chDB for the 30
    records of a second, and one insert for all took 19 ms. Redelivery is harmless: the same batch has the same
    deduplication token and adds nothing. An overlapping batch adds rows with the same identity, their position on the
    log, and the views show one of each.
    """

    name = "audit"

    def __init__(
        self,
        clickhouse: ClickHouseClient,
        topics: Topics,
        endpoint: Endpoint | None = None,
        parts: PartIntegrity | None = None,
        *,
        migrated: bool = False,
    ) -> None:
        self._clickhouse = clickhouse
        self._row_builder = RowBuilder(topics)
        self._endpoint = endpoint
        self._parts = parts
        self._migrated = migrated

    async def write_batch(self, records: Sequence[ConsumerRecord]) -> None:
        """Insert the rows of these records.

        Raises:
            ClickHouseError: ClickHouse is unavailable or refuses every row. Some rows may be stored; a retry adds no
                duplicates.
            MigrationError: an applied migration was edited.

        """
        await asyncio.to_thread(self._write, records)

    async def close(self) -> None:
        """Stop the HTTP endpoint and close ClickHouse."""
        if self._endpoint is not None:
            await asyncio.to_thread(self._endpoint.close)
        if self._parts is not None:
            await asyncio.to_thread(self._parts.close)
        await asyncio.to_thread(self._clickhouse.close)

    def _write(self, records: Sequence[ConsumerRecord]) -> None:
        if not self._migrated:
            # a server may have been unavailable at the start
            self._clickhouse.migrate()
            self._migrated = True
        rows = self._row_builder.build(records)
        with self._parts.guarded_insert() if self._parts else contextlib.nullcontext("") as generation:
            token = generation + insert_token(records)
            # requests first, so that a visible request is never without its row when its events are
            self._insert(REQUESTS, rows.requests, token)
            self._insert(EVENTS, rows.events, token)

    def _insert(self, table: Table, rows: Rows, token: str) -> None:
        """Insert rows. If the table refuses some, find these by bisection and insert a placeholder for each."""
        try:
            self._clickhouse.insert_columns(table.name, table.names, rows.columns, token)
        except ClickHouseError as error:
            if error.unavailable:
                raise
            if len(rows.records) == 1:
                self._record_unstorable_row(table.name, rows.records[0], error, token)
                return
            middle = len(rows.records) // 2
            self._insert(table, rows.part(slice(middle)), f"{token}/0")
            self._insert(table, rows.part(slice(middle, None)), f"{token}/1")

    def _record_unstorable_row(self, table: str, record: ConsumerRecord, error: ClickHouseError, token: str) -> None:
        """Insert a placeholder into ``events_log``. If that is refused too, the fault is not in the row."""
        placeholder = self._row_builder.placeholder(record, f"{table}: {error}")
        self._clickhouse.insert_columns(EVENTS.name, EVENTS.names, placeholder.columns, f"{token}/note of {table}")
        log.error("row.refused", table=table, record=record.position, reason=str(error))


def insert_token(records: Iterable[ConsumerRecord]) -> str:
    """Return the deduplication token of a batch: a hash of its offsets by partition."""
    offsets: dict[tuple[str, int], list[int]] = defaultdict(list)
    for record in records:
        offsets[record.topic, record.partition].append(record.offset)
    ranges = (
        f"{topic}-{partition}-{min(batch)}-{max(batch)}-{len(batch)}"
        for (topic, partition), batch in sorted(offsets.items())
    )
    return blake2b("\n".join(ranges).encode(), digest_size=16).hexdigest()
