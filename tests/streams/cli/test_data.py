from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from typing import Any

import pytest
from click.testing import CliRunner, Result

from streams.cli.main import main
from streams.config.settings import Settings
from streams.doctor import checks
from streams.doctor.finding import Finding, Level
from streams.provisioning import clickhouse as stores


@pytest.fixture(autouse=True)
def isolated(monkeypatch: pytest.MonkeyPatch, tmp_path_factory: pytest.TempPathFactory) -> None:
    monkeypatch.chdir(tmp_path_factory.mktemp("empty"))
    monkeypatch.setattr("streams.logging.configure", lambda *_args, **_more: None)
    monkeypatch.setenv("SLUICE_LOG", "warning")
    monkeypatch.delenv("SLUICE_CONFIG", raising=False)


class Store:
    """Returns the query as its result, and has no requests."""

    def query(self, sql: str, fmt: str) -> bytes:
        return f"{fmt}: {sql}\n".encode()

    def rows(self, _sql: str, _parameters: Mapping[str, Any]) -> Sequence[Mapping[str, Any]]:
        return []


@pytest.fixture
def store(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(stores, "open_reader", lambda _settings: Store())


def run(*arguments: str) -> Result:
    return CliRunner().invoke(main, arguments)


@pytest.mark.usefixtures("store")
@pytest.mark.parametrize(
    ("options", "fmt"), [([], "PrettyCompactMonoBlock"), (["--format", "CSV"], "CSV"), (["--json"], "JSON")]
)
def test_query_prints_the_result_in_the_selected_format(options: list[str], fmt: str) -> None:
    result = run("query", "SELECT 1", *options)

    assert (result.exit_code, result.output) == (0, f"{fmt}: SELECT 1\n")


@pytest.mark.usefixtures("store")
@pytest.mark.parametrize("sql", ["", " \n"])
def test_empty_query_is_a_usage_error(sql: str) -> None:
    result = run("query", sql)

    assert result.exit_code == 2
    assert "the query is empty" in result.stderr


@pytest.mark.usefixtures("store")
def test_export_without_matches_prints_one_line_and_exits_with_3() -> None:
    result = run("export", "--out", "train.jsonl")

    assert result.exit_code == 3
    assert result.stderr == ""
    assert len(result.stdout.splitlines()) == 1


@pytest.mark.usefixtures("store")
def test_export_json_is_the_manifest() -> None:
    assert json.loads(run("export", "--out", "train.jsonl", "--json").stdout)["examples"] == 0


@pytest.mark.parametrize(("level", "code"), [("ok", 0), ("warn", 0), ("BAD", 1)])
def test_doctor_exits_with_1_only_if_a_check_fails(level: Level, code: int, monkeypatch: pytest.MonkeyPatch) -> None:
    async def examine(_: Settings) -> list[Finding]:
        return [Finding("ingress", "ok", "ready"), Finding("stages", level, "a sentence")]

    monkeypatch.setattr(checks, "run_checks", examine)

    text, document = run("doctor"), run("doctor", "--json")

    assert text.exit_code == document.exit_code == code
    assert text.output.splitlines()[0].split() == ["ok", "ingress", "ready"]
    assert json.loads(document.output)[1] == {
        "check": "stages",
        "status": level,
        "message": "a sentence",
        "ok": code == 0,
    }
