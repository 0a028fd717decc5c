"""What chDB says it wrote, held against its files: it takes the last write of a file for done, whether it was or not.

Seen in chDB 26.9: on a full disk the writes that end a data part fail one after the other (ENOSPC), the part becomes
active all the same, and the insert is acknowledged. Every query of the table fails then (code 246), until its parts are
loaded again. Loading sets the damaged ones aside. For a merge its sources come back, which the engine keeps for eight
minutes; for an insert nothing does, so whoever inserts must hear of it while it still has the rows. To look costs 4 ms
of CPU for a batch of which the inserts cost 40, with one request in it (measured with 15 parts).
"""

from __future__ import annotations

import os
import secrets
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass

import structlog

from connectors.clickhouse import ClickHouseClient, ClickHouseError

log = structlog.get_logger()

CHECK_INTERVAL_S = 10.0
"""Between two looks at what merges have left while nothing is inserted: far below those eight minutes."""

_ACTIVE = "SELECT table, name, path, bytes_on_disk FROM system.parts WHERE active AND database = {database:String}"
_SET_ASIDE = """\
SELECT name FROM system.detached_parts
WHERE database = {database:String} AND table = {table:String}
    AND (name = {detached:String} OR startsWith(name, concat({detached:String}, '_try')))"""
_UNCOUNTED = frozenset(
    {"checksums.txt", "columns.txt", "columns_substreams.txt", "default_compression_codec.txt", "metadata_version.txt"}
)
"""Files of a part that ``bytes_on_disk`` leaves out. None is ever empty, and ``checksums.txt`` is written last."""


@dataclass(frozen=True, slots=True)
class DataPart:
    """One part of a table, as the engine has it in mind."""

    table: str
    name: str
    path: str
    size: int
    """Bytes that its files should have, but for those that are not counted."""

    @property
    def is_intact(self) -> bool:
        """Whether its files are as long as they were written."""
        counted = 0
        try:
            with os.scandir(self.path) as files:
                for file in files:
                    size = file.stat().st_size
                    if file.name not in _UNCOUNTED:
                        counted += size
                    elif not size:
                        return False
        except FileNotFoundError:
            return False
        return counted >= self.size


class PartIntegrity:
    """The parts of one database in this process. Looks by itself as well, in a thread, until it is closed."""

    def __init__(self, clickhouse: ClickHouseClient, every_s: float = CHECK_INTERVAL_S) -> None:
        self._clickhouse = clickhouse
        self._every_s = every_s
        self._lock = threading.Lock()
        self._whole: frozenset[DataPart] = frozenset()
        self._damaged: set[DataPart] = set()
        self._generation = _new_generation()
        self._closed = threading.Event()
        self._watch = threading.Thread(target=self._look, name="clickhouse-parts", daemon=True)
        self._watch.start()

    @contextmanager
    def guarded_insert(self) -> Iterator[str]:
        """Insert in here, by tokens that begin with what this yields: the engine remembers those of lost rows as well.

        Raises:
            ClickHouseError: what was inserted may not be there (unavailable). Offered again, it counts once.

        """
        with self._lock:
            self._mend()
            try:
                yield self._generation
            finally:
                self._check()

    def close(self) -> None:
        """Look no more."""
        self._closed.set()
        self._watch.join()

    def _look(self) -> None:
        while not self._closed.wait(self._every_s):
            try:
                with self._lock:
                    self._mend()
                    self._check()
            except Exception as error:  # noqa: BLE001 - whatever it is, the next look may go better
                log.warning("ClickHouse's parts were not whole, or not to be seen", reason=str(error))

    def _check(self) -> None:
        """See that every part is whole, else mend its table and raise."""
        database = self._clickhouse.database
        rows = self._clickhouse.rows(_ACTIVE, {"database": database})
        active = frozenset(DataPart(row["table"], row["name"], row["path"], row["bytes_on_disk"]) for row in rows)
        damaged = {part for part in active - self._whole if not part.is_intact}
        self._whole = active - damaged
        if damaged:
            log.error("ClickHouse could not write these parts", parts=sorted(part.path for part in damaged))
            self._damaged |= damaged
            self._generation = _new_generation()
            self._mend()
            raise ClickHouseError(
                f"ClickHouse could not write all of it to {self._clickhouse.place}: is the disk full?", unavailable=True
            )

    def _mend(self) -> None:
        """Load the tables of damaged parts again, without these. What an error leaves undone, the next call does.

        Queries that run are ended, since the engine would wait for them, and for a moment nobody finds the table.
        """
        for table in sorted({part.table for part in self._damaged}):
            self._clickhouse.command("KILL QUERY WHERE query_id != queryID() SYNC")
            self._clickhouse.command(f"DETACH TABLE IF EXISTS `{table}` SYNC")
            self._clickhouse.command(f"ATTACH TABLE IF NOT EXISTS `{table}`")
        while self._damaged:
            self._drop(next(iter(self._damaged)))

    def _drop(self, part: DataPart) -> None:
        """Give back the room that the rest of a part takes: its rows are in its sources, or are offered again."""
        names = {"database": self._clickhouse.database, "table": part.table, "detached": f"broken-on-start_{part.name}"}
        for row in self._clickhouse.rows(_SET_ASIDE, names):
            self._clickhouse.command(
                f"ALTER TABLE `{part.table}` DROP DETACHED PART '{row['name']}' SETTINGS allow_drop_detached = 1"
            )
        self._damaged.discard(part)


def _new_generation() -> str:
    """How tokens begin, in each process and whenever rows were lost."""
    return f"{secrets.token_hex(4)}/"
