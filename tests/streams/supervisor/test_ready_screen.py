from __future__ import annotations

import io
import json
import re
import shlex
from typing import Any

import pytest
from rich.console import Console

from streams.config.settings import Settings
from streams.supervisor import ready_screen as screen

PIDS = {"ingress": 11, "broker": 12, "audit": 13, "flow": 14, "call": 15}
KEY = {"id": "k", "tenant": "default", "hash": "sha256:" + "0" * 64}


def settings(**content: Any) -> Settings:
    return Settings.model_validate({"kafka": {"bootstrap_servers": "127.0.0.1:9092"}, **content})


def render(configured: Settings, width: int = 80) -> str:
    file = io.StringIO()
    screen.print_ready_screen(Console(file=file, width=width, force_terminal=False), configured, dict(PIDS))
    return file.getvalue()


@pytest.mark.parametrize("width", [40, 80])
def test_commands_are_not_wrapped_at_any_width(width: int) -> None:
    configured = settings()

    text = render(configured, width)

    for code in (screen.curl(configured), screen.produce(configured), screen.query()):
        assert f"\n{code}\n" in text


def test_ready_screen_fits_80_columns_and_has_no_frames() -> None:
    text = render(settings(state="/var/lib/sluice"))

    lines = [line for line in text.splitlines() if "/bin/" not in line]  # the path of the installation can be longer
    assert max(len(line.rstrip()) for line in lines) <= 80
    assert not re.search("[│╭╰─…]", text)


def test_ready_screen_shows_addresses_and_pids_without_secrets() -> None:
    text = render(settings(state="/var/lib/sluice", clickhouse={"url": "https://me:sk-secret@ch:8443"}))

    for part in ("http://127.0.0.1:8080", "127.0.0.1:9092", "https://ch:8443", "/var/lib/sluice", "pid 15"):
        assert part in text
    assert "sk-secret" not in text


def test_curl_command_has_a_json_body() -> None:
    arguments = shlex.split(screen.curl(settings()).replace("\\\n", ""))

    assert arguments[:2] == ["curl", "http://127.0.0.1:8080/v1/chat/completions"]
    assert json.loads(arguments[-1])["model"] == "demo"


def test_produce_command_is_python_for_the_topic_of_the_first_tenant() -> None:
    code = screen.produce(settings(tenants={"acme": {}}))

    shell, _, rest = code.partition("\n")
    assert shell.endswith("python - <<'END'")
    compile(rest.removesuffix("END"), "produce", "exec")
    assert '"llm.requests.acme.v1"' in code


def test_curl_command_has_a_key_only_if_keys_are_configured() -> None:
    assert "SLUICE_KEY" not in render(settings())
    assert "no keys configured" in render(settings())

    text_with_keys = render(settings(keys=[KEY]))

    assert '-H "Authorization: Bearer $SLUICE_KEY"' in text_with_keys
    assert "no keys configured" not in text_with_keys


@pytest.mark.parametrize(
    ("content", "model"),
    [
        ({}, "demo"),
        ({"providers": {"fake": {"kind": "simulated"}}}, "fake/echo"),
        ({"providers": {"own": {"kind": "openai", "base_url": "http://h/v1"}}}, "own/MODEL"),
    ],
)
def test_first_model_is_a_configured_one(content: dict[str, Any], model: str) -> None:
    assert screen.first_model(settings(**content)) == model
