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
def isolated(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """No file and no variable of the machine that runs the tests, and no change of the logging."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(logs, "configure", lambda *_args, **_more: None)
    monkeypatch.setenv("SLUICE_LOG", "warning")
    for name in ("SLUICE_CONFIG", "SLUICE_KAFKA", "SLUICE_STATE", "SLUICE_GRAFANA_URL", "SLUICE_GRAFANA_AUTH"):
        monkeypatch.delenv(name, raising=False)


def run(*arguments: str) -> Result:
    return CliRunner().invoke(main, arguments)


@pytest.mark.parametrize("path", list(commands()), ids=" ".join)
@pytest.mark.parametrize("option", ["-h", "--help"])
def test_every_command_has_help(path: tuple[str, ...], option: str) -> None:
    result = run(*path, option)

    assert result.exit_code == 0
    assert result.output.startswith("Usage:")
    assert result.output.splitlines()[2].strip()


@pytest.mark.parametrize("group", [(), ("keys",), ("dashboards",)], ids=" ".join)
def test_help_of_each_command_fits_80_columns(group: tuple[str, ...]) -> None:
    listed = CliRunner().invoke(main, [*group, "--help"], terminal_width=80).output.partition("Commands:\n")[2]

    assert listed
    assert "..." not in listed


@pytest.mark.parametrize(
    "arguments",
    [
        ["--no-such-option"],
        ["no-such-command"],
        ["run"],
        ["run", "unknown"],
        ["query"],
        ["query", "SELECT 1", "--json", "--format", "CSV"],
        ["export"],
        ["export", "--out", "x.csv"],
        ["export", "--out", "x.jsonl", "--since", "yesterday"],
        ["export", "--out", "x.jsonl", "--since", "2026-11-02", "--until", "2026-11-01"],
        ["export", "--out", "x.jsonl", "--label", "=v2"],
        ["keys", "new"],
        ["keys", "new", "--tenant", "Not A Name"],
        ["keys", "new", "--tenant", "a", "--models", ""],
        ["dashboards", "push"],
        ["--log-level", "loud", "topics"],
    ],
    ids=" ".join,
)
def test_usage_error_shows_the_usage_and_exits_with_2(arguments: list[str]) -> None:
    result = run(*arguments)

    assert result.exit_code == 2
    assert "Usage: " in result.output
    assert "Traceback" not in result.output


def test_version_is_printed() -> None:
    assert run("--version").output.split()[-1].count(".") == 2


def test_command_line_imports_no_heavy_package() -> None:
    heavy = {"faust", "aiokafka", "clickhouse_connect", "aiohttp", "pydantic", "connectors"}
    code = f"import sys; import streams.cli.main; print(*{heavy} & sys.modules.keys())"

    imported = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)

    assert imported.stdout.split() == []


@pytest.mark.parametrize("command", ["up", "topics", "migrate", "query SELECT", "doctor", "run call"])
def test_invalid_configuration_is_one_line_and_exit_code_1(command: str, tmp_path: Path) -> None:
    (tmp_path / "sluice.yaml").write_text("deadline_s: soon\n", "utf-8")

    result = run(*command.split())

    assert result.exit_code == 1
    assert result.output.strip() == ("sluice: sluice.yaml: deadline_s: must be a number")


@pytest.mark.parametrize(("command", "needed"), [("query SELECT", False), ("up", True), ("run call", True)])
def test_secret_of_a_provider_is_required_only_by_commands_that_call_it(
    command: str, needed: bool, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    (tmp_path / "sluice.yaml").write_text('providers: {own: {kind: openai, api_key: "${NOT_SET}"}}\n', "utf-8")
    monkeypatch.setattr("streams.provisioning.clickhouse.open_reader", lambda _: AnsweringClickHouse())

    result = run(*command.split())

    assert (result.exit_code, "NOT_SET is not set" in result.output) == ((1, True) if needed else (0, False))


class AnsweringClickHouse:
    def query(self, _sql: str, _format: str) -> bytes:
        return b"1"


@pytest.mark.parametrize("error", UserError.__subclasses__(), ids=lambda error: error.__name__)
def test_user_error_is_one_line_and_exit_code_1(error: type[Exception], monkeypatch: pytest.MonkeyPatch) -> None:
    def fail(*_: object) -> None:
        raise error("[the] sentence: what to do")

    monkeypatch.setattr("streams.provisioning.clickhouse.open_reader", fail)

    result = run("query", "SELECT 1")

    assert (result.exit_code, result.output) == (1, "sluice: [the] sentence: what to do\n")


def test_errors_of_every_part_are_user_errors() -> None:
    assert {StartError, BrokerError, KafkaFaultError, ClickHouseError} <= set(UserError.__subclasses__())


def test_unexpected_exception_is_not_hidden(monkeypatch: pytest.MonkeyPatch) -> None:
    def fail(*_: object) -> None:
        raise ZeroDivisionError

    monkeypatch.setattr("streams.provisioning.clickhouse.open_reader", fail)

    assert isinstance(run("query", "SELECT 1").exception, ZeroDivisionError)
