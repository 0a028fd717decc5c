"""Restrictions of the reader process by the kernel alone: no query guard, and all rights of the engine.

Every function, table function, output format and text setting that the engine lists is given the path of a file with a
secret, the path of a new file, and an address where a listener waits.
"""

from __future__ import annotations

import json
import os
import re
import shutil
import socket
import subprocess
import sys
import threading
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from pathlib import Path

import pytest

from connectors.clickhouse import ClickHouseClient
from connectors.clickhouse.embedded import sandbox

pytestmark = [
    pytest.mark.flow,
    pytest.mark.timeout(600),
    pytest.mark.skipif(
        not sandbox.available_restrictions().are_complete, reason="this kernel has no Landlock or no seccomp"
    ),
]

SECRET = "hunter2-in-a-file"
PROGRAM = Path(__file__).parents[3] / "fixtures" / "unguarded_reader.py"
UNSUITABLE = {"loop", "generateRandom", "fuzzJSON", "primes", "jdbc", "odbc"}
"""Table functions without end, and two that try for minutes to start a program, which is denied like any other."""
LAKES = re.compile("azure|hdfs|paimon|iceberg|deltaLake|hudi|ytsaurus", re.IGNORECASE)
"""Table functions whose clients retry for seconds after each denial. With them the test takes 3 minutes, and passes."""
SCHEMA_FORMATS = ("Template", "Protobuf", "ProtobufList", "ProtobufSingle", "CapnProto", "AvroConfluent", "Avro", "Npy")


@dataclass
class Outside:
    """Targets that a query must not reach: a file, a place for new files, a listener."""

    folder: Path
    listener: socket.socket
    accepted: list[str] = field(default_factory=list)

    @property
    def secret(self) -> str:
        return str(self.folder / "secret.txt")

    @property
    def new(self) -> str:
        return str(self.folder / "new.txt")

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.listener.getsockname()[1]}/x"

    def listen(self) -> None:
        while True:
            try:
                connection, peer = self.listener.accept()
            except OSError:
                return
            self.accepted.append(str(peer))
            connection.close()


@dataclass
class Unguarded:
    """The program of ``tests/fixtures/unguarded_reader.py``."""

    process: subprocess.Popen[str]
    folder: Path

    def run(self, statement: str) -> str:
        assert self.process.stdin is not None
        assert self.process.stdout is not None
        self.process.stdin.write(json.dumps(statement) + "\n")
        self.process.stdin.flush()
        for line in self.process.stdout:
            try:
                return str(json.loads(line))
            except json.JSONDecodeError:
                continue  # the engine writes to the terminal by itself
        raise AssertionError(f"the process exited with {self.process.wait()} on {statement!r}")

    def column(self, statement: str) -> list[str]:
        return self.run(statement).split("\n")[:-1]


@pytest.fixture(scope="module")
def outside(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Outside]:
    folder = tmp_path_factory.mktemp("outside")
    (folder / "secret.txt").write_text(f"{SECRET}\n")
    outside = Outside(folder, socket.create_server(("127.0.0.1", 0)))
    threading.Thread(target=outside.listen, daemon=True).start()
    yield outside
    outside.listener.close()


@pytest.fixture(scope="module")
def unguarded(clickhouse_path: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Unguarded]:
    database = "walled"
    clickhouse = ClickHouseClient.embedded(clickhouse_path, database)
    clickhouse.migrate()
    folder = tmp_path_factory.mktemp("reader")
    process = subprocess.Popen(
        [sys.executable, str(PROGRAM)],
        env={"TMPDIR": str(folder), "PYTHONPATH": str(Path(__file__).parents[4])},
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
        cwd=folder,
    )
    assert process.stdin is not None
    assert process.stdout is not None
    spec = {"folder": str(folder), "source": str(clickhouse_path), "database": database}
    process.stdin.write(json.dumps(spec) + "\n")
    process.stdin.flush()
    assert json.loads(process.stdout.readline())[1] is True
    yield Unguarded(process, folder)
    process.kill()
    process.wait()
    clickhouse.close()


def check_all(unguarded: Unguarded, outside: Outside, statements: Iterable[str]) -> int:
    """Run these and see that none reads, makes or changes a file, and none opens a connection; return their number."""
    before = snapshot(outside.folder, unguarded.folder)
    count = 0
    for statement in statements:
        count += 1
        assert SECRET not in unguarded.run(statement), statement
        assert not outside.accepted, statement
        assert not Path(outside.new).exists(), statement
    assert snapshot(outside.folder, unguarded.folder) == before
    assert unguarded.run("SELECT 1") == "1\n"
    return count


def snapshot(*folders: Path) -> dict[str, tuple[int, int]]:
    files = (file for folder in folders for file in folder.rglob("*"))
    return {str(file): (file.lstat().st_size, file.lstat().st_mtime_ns) for file in files}


def test_engine_without_rules_still_reads_the_tables(unguarded: Unguarded) -> None:
    assert unguarded.run("SELECT count() FROM walled.events") == "0\n"
    assert unguarded.run("SELECT sum(number) FROM numbers_mt(1000000)") == "499999500000\n"


def test_no_function_reads_or_makes_a_file_or_opens_a_connection(unguarded: Unguarded, outside: Outside) -> None:
    names = unguarded.column("SELECT name FROM system.functions WHERE NOT name LIKE 'sleep%' ORDER BY name")

    count = check_all(
        unguarded,
        outside,
        (
            f"SELECT `{name}`({arguments})"
            for name in names
            for arguments in (
                f"'{outside.secret}'",
                f"'{outside.secret}', '{outside.new}'",
                f"'{outside.url}', map('credentials', '{outside.url}')",
            )
        ),
    )

    assert count > 3000


def test_no_table_function_reads_or_makes_a_file_or_opens_a_connection(unguarded: Unguarded, outside: Outside) -> None:
    names = unguarded.column("SELECT name FROM system.table_functions ORDER BY name")
    address = outside.url.removeprefix("http://").removesuffix("/x")

    count = check_all(
        unguarded,
        outside,
        (
            statement.replace("@", f"`{name}`")
            for name in names
            if name not in UNSUITABLE and not LAKES.search(name)
            for statement in (
                f"SELECT * FROM @('{outside.secret}') LIMIT 9",
                f"SELECT * FROM @('{outside.secret}', 'LineAsString', 'a String') LIMIT 9",
                f"SELECT * FROM @('{outside.url}', 'LineAsString', 'a String') LIMIT 9",
                f"SELECT * FROM @('{address}', 'a', 'b', 'c', 'd') LIMIT 9",
                f"SELECT * FROM @('{address}', 'system.one') LIMIT 9",
                f"SELECT * FROM @('cat {outside.secret}', 'TSV', 'a String') LIMIT 9",
                f"SELECT * FROM @('cat', 'TSV', 'a String', (SELECT '{outside.secret}')) LIMIT 9",
                f"INSERT INTO FUNCTION @('{outside.new}', 'LineAsString', 'a String') VALUES ('x')",
            )
        ),
    )

    assert count > 300


def test_no_format_writes_a_file(unguarded: Unguarded, outside: Outside) -> None:
    names = unguarded.column("SELECT name FROM system.formats WHERE is_output ORDER BY name")

    count = check_all(
        unguarded,
        outside,
        (
            f"SELECT 'x' AS a INTO OUTFILE '{path}' {mode} FORMAT {name}"
            for name in names
            for path, mode in (
                (outside.new, ""),
                (outside.secret, "TRUNCATE"),
                (outside.secret, "APPEND"),
                ("here.txt", ""),
            )
        ),
    )

    assert count > 300


def test_no_text_setting_reads_or_makes_a_file_or_opens_a_connection(unguarded: Unguarded, outside: Outside) -> None:
    names = unguarded.column("SELECT name FROM system.settings WHERE type = 'String' ORDER BY name")
    formats = set(unguarded.column("SELECT name FROM system.formats WHERE is_output")) & set(SCHEMA_FORMATS)

    count = check_all(
        unguarded,
        outside,
        (
            f"SELECT 'x' AS a FORMAT {name} SETTINGS {setting} = '{value}'"
            for setting in names
            for name in sorted(formats)
            for value in (outside.secret, outside.new, outside.url)
        ),
    )

    assert count > 1000


def test_settings_of_schemas_together_reach_nothing(unguarded: Unguarded, outside: Outside) -> None:
    query = f"SELECT throwIf(1, file(''{outside.secret}''))"
    together = (
        f"output_format_schema = '{outside.new}'",
        f"format_template_resultset = '{outside.secret}', format_template_row = '{outside.secret}'",
        f"format_schema_source = 'query', format_schema_message_name = 'M', format_schema = '{query}'",
        f"format_schema = '{outside.secret}:M'",
        f"format_avro_schema_registry_url = '{outside.url}', output_format_avro_confluent_subject = 's'",
    )

    check_all(
        unguarded,
        outside,
        (f"SELECT 1 AS a FORMAT {name} SETTINGS {chosen}" for name in SCHEMA_FORMATS for chosen in together),
    )


@pytest.mark.parametrize(
    "statement",
    [
        "CREATE TABLE walled.x (a Int8) ENGINE = MergeTree ORDER BY a",
        "INSERT INTO walled.events_log (tenant) VALUES ('x')",
        "ALTER TABLE walled.events_log DROP PARTITION tuple()",
        "DROP TABLE walled.events_log SYNC",
        "TRUNCATE TABLE walled.events_log",
        "BACKUP TABLE walled.events_log TO File('here')",
        "CREATE DATABASE x ENGINE = Atomic",
    ],
)
def test_engine_without_rules_changes_nothing(unguarded: Unguarded, statement: str, clickhouse_path: Path) -> None:
    before = snapshot(unguarded.folder)

    assert unguarded.run(statement).startswith("Error: ")

    assert snapshot(unguarded.folder) == before
    assert unguarded.run("SELECT count() FROM walled.events") == "0\n"


def test_environment_of_other_processes_is_out_of_reach(unguarded: Unguarded) -> None:
    for process in (str(os.getpid()), "1"):
        assert "Permission denied" in unguarded.run(f"SELECT file('/proc/{process}/environ')")


def test_restrictions_withhold_everything_but_the_named_folders(tmp_path: Path) -> None:
    readable, writable, other = (tmp_path / name for name in ("readable", "writable", "other"))
    for folder in (readable, writable, other):
        folder.mkdir()
        (folder / "file").write_text("x")
    tries = {
        "read": f"open({str(readable / 'file')!r})",
        "write_readable": f"open({str(readable / 'file')!r}, 'a')",
        "read_other": f"open({str(other / 'file')!r})",
        "write": f"open({str(writable / 'new')!r}, 'w')",
        "link": f"os.link({str(other / 'file')!r}, {str(writable / 'link')!r})",
        "socket": "socket.socket()",
        "unix_socket": "socket.socket(socket.AF_UNIX)",
        "fork": "os.fork()",
        "exec": "os.execv('/bin/true', ['true'])",
        "spawn": "subprocess.run(['/bin/true'])",
        "signal": "os.kill(os.getppid(), 0)",
        "thread": "threading.Thread(target=print).start()",
    }
    afterwards = {"write_later": tries["write"], "remove": f"os.unlink({str(writable / 'file')!r})"} | {
        "read_later": tries["read"],
        "mkdir": f"os.mkdir({str(writable / 'folder')!r})",
        "chmod": f"os.chmod({str(readable / 'file')!r}, 0)",
    }
    program = f"""
import os, socket, subprocess, threading
from pathlib import Path
from connectors.clickhouse.embedded import sandbox
sandbox.confine([Path({str(readable)!r})], [Path({str(writable)!r})])
def attempt(name, code):
    try:
        eval(code)
    except OSError as error:
        print(name, "denied", type(error).__name__)
    else:
        print(name, "done")
for name, code in {tries!r}.items(): attempt(name, code)
sandbox.forbid_changes()
for name, code in {afterwards!r}.items(): attempt(name, code)
"""

    done = subprocess.run(
        [sys.executable, "-B", "-c", program], capture_output=True, check=False, text=True, timeout=60
    )

    results = dict(line.split()[:2] for line in done.stdout.splitlines() if line.strip())
    allowed = {name for name, result in results.items() if result == "done"}
    assert set(results) == set(tries) | set(afterwards), done.stderr
    assert allowed == {"read", "write", "thread", "read_later"}


def test_restrictions_refuse_a_process_with_other_threads() -> None:
    program = """
import threading
from connectors.clickhouse.embedded import sandbox
threading.Thread(target=threading.Event().wait, daemon=True).start()
sandbox.confine([], [])
"""

    done = subprocess.run([sys.executable, "-c", program], capture_output=True, check=False, text=True, timeout=60)

    assert "other threads" in done.stderr


@pytest.mark.skipif(shutil.which("strace") is None, reason="no strace on this machine")
def test_filters_deny_calls_in_the_kernel(tmp_path: Path) -> None:
    program = """
import socket
from connectors.clickhouse.embedded import sandbox
sandbox.confine([], [])
try: socket.socket(socket.AF_INET)
except PermissionError: print("denied")
"""
    trace = tmp_path / "trace"
    command = ["strace", "-f", "-e", "trace=socket,connect", "-o", str(trace), sys.executable, "-c", program]

    done = subprocess.run(command, check=True, capture_output=True, text=True, timeout=60)

    calls = [line for line in trace.read_text().splitlines() if "socket(AF_INET," in line]
    assert done.stdout == "denied\n"
    assert [call.endswith("EPERM (Operation not permitted)") for call in calls] == [True]
