from __future__ import annotations

import json
import socket
from pathlib import Path

import pytest
from click.testing import CliRunner, Result

from streams.cli.main import main


@pytest.fixture(autouse=True)
def isolated(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """No file, variable or network of the machine that runs the tests."""

    def refuse(*_: object) -> None:
        raise AssertionError("network used")

    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr("streams.logging.configure", lambda *_args, **_more: None)
    monkeypatch.setattr(socket.socket, "connect", refuse)
    monkeypatch.setenv("SLUICE_LOG", "warning")
    monkeypatch.delenv("SLUICE_CONFIG", raising=False)


def run(*arguments: str) -> Result:
    return CliRunner().invoke(main, arguments)


def test_valid_file_exits_with_0_and_shows_its_hash() -> None:
    Path("other.yaml").write_text("deadline_s: 5")

    text, document = run("check", "other.yaml"), run("--config", "other.yaml", "check", "--json")

    report = json.loads(document.stdout)
    assert (text.exit_code, document.exit_code) == (0, 0)
    assert text.stdout == f"other.yaml: valid, configuration {report['config_hash']}\n"
    assert report | {"config_hash": ""} == {
        "file": "other.yaml",
        "ok": True,
        "config_hash": "",
        "errors": [],
        "warnings": [],
    }


@pytest.mark.parametrize(
    ("content", "fault"),
    [
        ('providers: {o: {kind: openai, api_key: "${NOT_SET}"}}', "environment variable NOT_SET is not set"),
        ("providers: {o: {kind: openai, api_key: $NOT_SET}}", "write ${NAME}, not $NAME"),
        ("http: {host: 0.0.0.0}", "no keys are configured"),
        ("nope: 1", "is not known here"),
    ],
)
def test_fault_exits_with_1(content: str, fault: str) -> None:
    Path("sluice.yaml").write_text(content)

    text, document = run("check"), run("check", "--json")

    assert (text.exit_code, document.exit_code) == (1, 1)
    assert fault in text.stderr.replace("\n", " ")
    report = json.loads(document.stdout)
    assert (report["ok"], len(report["errors"])) == (False, 1)
    assert fault in report["errors"][0]


def test_missing_file_exits_with_1() -> None:
    assert run("check", "missing.yaml").exit_code == 1


def test_defaults_are_valid() -> None:
    assert run("check").stdout.startswith("no configuration file, the defaults: valid")


def test_simulated_fallback_is_a_warning_with_exit_code_0() -> None:
    Path("sluice.yaml").write_text(
        "providers: {real: {kind: openai, base_url: 'http://h/v1'}, sim: {kind: simulated}}\n"
        "models: {demo: {targets: [real/x, sim/echo]}}"
    )

    text, document = run("check"), run("check", "--json")

    assert (text.exit_code, document.exit_code) == (0, 0)
    assert text.stderr.startswith("sluice: warning: models.demo: sim/echo is simulated")
    assert len(json.loads(document.stdout)["warnings"]) == 1
