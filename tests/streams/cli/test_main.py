from __future__ import annotations

import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import click
import pytest
from click.testing import CliRunner, Result

from connectors.clickhouse import ClickHouseError
from connectors.kafka import KafkaFaultError
from connectors.kafka.embedded.broker import BrokerError
from schemas.errors import UserError
from streams import logging as logs
from streams.cli.main import main
from streams.supervisor.preflight import StartError


def commands(command: click.Command = main, path: tuple[str, ...] = ()) -> Iterator[tuple[str, ...]]:
    yield path
    if isinstance(command, click.Group):
        for name, inner in command.commands.items():
            yield from commands(inner, (*path, name))


@pytest.fixture(autouse=True)
def alone(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """No file and no variable of whoever runs the tests, and the program's log left as it is."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(logs, "configure", lambda *_args, **_more: None)
    monkeypatch.setenv("SLUICE_LOG", "warning")
    for name in ("SLUICE_CONFIG", "SLUICE_KAFKA", "SLUICE_STATE", "SLUICE_GRAFANA_URL", "SLUICE_GRAFANA_AUTH"):
        monkeypatch.delenv(name, raising=False)


def run(*arguments: str) -> Result:
    return CliRunner().invoke(main, arguments)


@pytest.mark.parametrize("path", list(commands()), ids=" ".join)
@pytest.mark.parametrize("option", ["-h", "--help"])
def test_every_command_explains_itself(path: tuple[str, ...], option: str) -> None:
    result = run(*path, option)

    assert result.exit_code == 0
    assert result.output.startswith("Usage:")
    assert result.output.splitlines()[2].strip()


@pytest.mark.parametrize("group", [(), ("keys",), ("dashboards",)], ids=" ".join)
def test_eighty_columns_hold_what_each_command_is_for(group: tuple[str, ...]) -> None:
    listed = CliRunner().invoke(main, [*group, "--help"], terminal_width=80).output.partition("Commands:\n")[2]

    assert listed
    assert "..." not in listed


@pytest.mark.parametrize(
    "arguments",
    [
        ["--no-such-option"],
        ["no-such-command"],
        ["run"],
        ["run", "telepathy"],
        ["query"],
        ["export"],
        ["keys", "new"],
        ["keys", "new", "--tenant", "Not A Name"],
        ["dashboards", "push"],
        ["--log-level", "loud", "topics"],
    ],
    ids=" ".join,
)
def test_a_wrong_call_says_how_it_is_used_and_exits_with_2(arguments: list[str]) -> None:
    result = run(*arguments)

    assert result.exit_code == 2
    assert "Usage: " in result.output
    assert "Traceback" not in result.output


def test_the_version_is_told() -> None:
    assert run("--version").output.split()[-1].count(".") == 2


def test_what_a_call_does_not_need_is_not_imported() -> None:
    heavy = {"faust", "aiokafka", "clickhouse_connect", "aiohttp", "pydantic", "connectors"}
    code = f"import sys; import streams.cli.main; print(*{heavy} & sys.modules.keys())"

    told = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)

    assert told.stdout.split() == []


@pytest.mark.parametrize("command", ["up", "topics", "migrate", "query SELECT", "doctor", "run call"])
def test_a_configuration_that_can_not_be_used_is_a_line_and_exit_code_1(command: str, tmp_path: Path) -> None:
    (tmp_path / "sluice.yaml").write_text("deadline_s: soon\n", "utf-8")

    result = run(*command.split())

    assert result.exit_code == 1
    assert result.output.strip() == ("sluice: sluice.yaml: deadline_s: must be a number")


@pytest.mark.parametrize(("command", "needed"), [("query SELECT", False), ("up", True), ("run call", True)])
def test_a_providers_key_is_needed_only_by_what_calls_it(
    command: str, needed: bool, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    (tmp_path / "sluice.yaml").write_text('providers: {own: {kind: openai, api_key: "${NOT_SET}"}}\n', "utf-8")
    monkeypatch.setattr("streams.provisioning.clickhouse.open_reader", lambda _: Answering())

    result = run(*command.split())

    assert (result.exit_code, "NOT_SET is not set" in result.output) == ((1, True) if needed else (0, False))


class Answering:
    """A ClickHouse."""

    def query(self, _sql: str, _format: str) -> bytes:
        return b"1"


@pytest.mark.parametrize("error", UserError.__subclasses__(), ids=lambda error: error.__name__)
def test_errors_for_people_are_a_line_and_exit_code_1(error: type[Exception], monkeypatch: pytest.MonkeyPatch) -> None:
    def fail(*_: object) -> None:
        raise error("[the] sentence: what to do")

    monkeypatch.setattr("streams.provisioning.clickhouse.open_reader", fail)

    result = run("query", "SELECT 1")

    assert (result.exit_code, result.output) == (1, "sluice: [the] sentence: what to do\n")


def test_what_every_part_says_to_people_is_among_them() -> None:
    assert {StartError, BrokerError, KafkaFaultError, ClickHouseError} <= set(UserError.__subclasses__())


def test_a_fault_of_ours_is_not_dressed_up(monkeypatch: pytest.MonkeyPatch) -> None:
    def fail(*_: object) -> None:
        raise ZeroDivisionError

    monkeypatch.setattr("streams.provisioning.clickhouse.open_reader", fail)

    assert isinstance(run("query", "SELECT 1").exception, ZeroDivisionError)
