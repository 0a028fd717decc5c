"""Migrations of the tables: numbered SQL files, applied once and in order, and never edited afterwards."""

from __future__ import annotations

import hashlib
import re
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from importlib.resources import files
from typing import Any, Protocol

from schemas.errors import UserError

_NAME = re.compile(r"\d{3}_\w+(\.server)?\.sql")
_SERVER = ".server.sql"

_RECORD = """\
CREATE TABLE IF NOT EXISTS schema_migrations (name String, sha256 String, applied_at DateTime64(3, 'UTC'))
ENGINE = MergeTree ORDER BY name"""


class MigrationError(UserError):
    """An applied migration file was edited. The message names the file and says what to do."""


class MigrationDatabase(Protocol):
    """Interface of ClickHouse that migrations use."""

    database: str

    @property
    def is_server(self) -> bool:
        """True if the database has users and roles."""
        ...

    def rows(self, sql: str) -> Sequence[Mapping[str, Any]]:
        """Run a query and return its rows."""
        ...

    def command(self, sql: str) -> None:
        """Run a statement."""
        ...

    def insert(self, table: str, columns: Sequence[str], rows: Sequence[Sequence[object]]) -> None:
        """Insert rows."""
        ...


@dataclass(frozen=True, slots=True)
class Migration:
    """One migration file. Its statements can be repeated, because a crash may interrupt it half-way."""

    name: str
    sql: str

    @property
    def sha256(self) -> str:
        """Return the hash that is recorded when the file is applied."""
        return hashlib.sha256(self.sql.encode()).hexdigest()

    @property
    def statements(self) -> list[str]:
        """Return the statements of the file without comments; a semicolon at the end of a line ends a statement."""
        lines = (line for line in self.sql.splitlines() if not line.lstrip().startswith("--"))
        parts = re.split(r";[ \t]*$", "\n".join(lines), flags=re.MULTILINE)
        return [part.strip() for part in parts if part.strip()]


def packaged_migrations(*, server: bool) -> list[Migration]:
    """Return the packaged migrations in order; those for servers (users, roles) only with ``server``."""
    folder = files("schemas").joinpath("tables")
    names = sorted(file.name for file in folder.iterdir() if _NAME.fullmatch(file.name))
    wanted = [name for name in names if server or not name.endswith(_SERVER)]
    return [Migration(name, folder.joinpath(name).read_text("utf-8")) for name in wanted]


def apply(clickhouse: MigrationDatabase, migrations: list[Migration] | None = None) -> list[str]:
    """Apply missing migrations and return their names.

    Raises:
        MigrationError: an applied file was edited.
        connectors.clickhouse.ClickHouseError: a statement failed. Earlier statements stay applied, and the next run
            starts again with the same file.

    """
    migrations = packaged_migrations(server=clickhouse.is_server) if migrations is None else migrations
    clickhouse.command(_RECORD)
    applied = {row["name"]: row["sha256"] for row in clickhouse.rows("SELECT name, sha256 FROM schema_migrations")}
    _check(migrations, applied)
    missing = [migration for migration in migrations if migration.name not in applied]
    for migration in missing:
        for statement in migration.statements:
            clickhouse.command(statement.replace("{database}", f"`{clickhouse.database}`"))
        row = [migration.name, migration.sha256, int(time.time() * 1000)]
        clickhouse.insert("schema_migrations", ("name", "sha256", "applied_at"), [row])
    return [migration.name for migration in missing]


def _check(migrations: list[Migration], applied: dict[str, str]) -> None:
    for migration in migrations:
        if applied.get(migration.name, migration.sha256) != migration.sha256:
            raise MigrationError(
                f"schemas/tables/{migration.name} was edited after it was applied: restore it and add a new file"
            )
