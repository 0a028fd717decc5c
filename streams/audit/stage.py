"""Audit: every record of every topic, as rows in ClickHouse."""

from __future__ import annotations

import asyncio
import contextlib
from collections import defaultdict
from collections.abc import Iterable, Sequence
from hashlib import blake2b

import structlog

from connectors.clickhouse import ClickHouseClient, ClickHouseError
from connectors.clickhouse.embedded.http_endpoint import Endpoint
from connectors.clickhouse.embedded.part_integrity import PartIntegrity
from schemas.kafka.records import ConsumerRecord
from schemas.kafka.topics import Topics
from streams.audit.row_builder import RowBuilder
from streams.audit.tables import EVENTS, REQUESTS, Rows, Table
from streams.pipeline.stage import SinkStage

log = structlog.get_logger()


class AuditStage(SinkStage):
    """Keeps what the worker brings: one insert per table and batch, in a thread, so that the loop goes on.

    A batch mixes partitions. One insert for each of them, as Kafka Connect has it, was measured in chDB at 271 ms CPU
    for a second's 30 records, and one for all at 19 ms. Repeats are as harmless: the same batch has the same token, and
    adds nothing; an overlapping one adds rows that share their identity, the place on the log, with those before them,
    and the views show one of each.
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
        """Keep all of these.

        Raises:
            ClickHouseError: it is away or refuses everything. Some rows may be in; offered again, they count once.
            MigrationError: its tables are not those that we know.

        """
        await asyncio.to_thread(self._write, records)

    async def close(self) -> None:
        """Let go of ClickHouse, and stop serving it to others."""
        if self._endpoint is not None:
            await asyncio.to_thread(self._endpoint.close)
        if self._parts is not None:
            await asyncio.to_thread(self._parts.close)
        await asyncio.to_thread(self._clickhouse.close)

    def _write(self, records: Sequence[ConsumerRecord]) -> None:
        if not self._migrated:
            # here as well, since a server may have been away when we started
            self._clickhouse.migrate()
            self._migrated = True
        made = self._row_builder.build(records)
        with self._parts.guarded_insert() if self._parts else contextlib.nullcontext("") as generation:
            token = generation + insert_token(records)
            # ends first: a request that is there has its events a moment later, never the other way round
            self._insert(REQUESTS, made.requests, token)
            self._insert(EVENTS, made.events, token)

    def _insert(self, table: Table, rows: Rows, token: str) -> None:
        """Insert these, or find the ones that the table can't take by halves and keep a note of each in their stead."""
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
        """Say in ``events_log`` that a row is missing. If even that is refused, it is not the row that is wrong."""
        stub = self._row_builder.placeholder(record, f"{table}: {error}")
        self._clickhouse.insert_columns(EVENTS.name, EVENTS.names, stub.columns, f"{token}/note of {table}")
        place = record.position
        log.error("row refused", table=table, record=place, reason=str(error))


def insert_token(records: Iterable[ConsumerRecord]) -> str:
    """The name of a batch: which offsets of which partitions are in it."""
    offsets: dict[tuple[str, int], list[int]] = defaultdict(list)
    for record in records:
        offsets[record.topic, record.partition].append(record.offset)
    ranges = (
        f"{topic}-{partition}-{min(of)}-{max(of)}-{len(of)}" for (topic, partition), of in sorted(offsets.items())
    )
    return blake2b("\n".join(ranges).encode(), digest_size=16).hexdigest()
