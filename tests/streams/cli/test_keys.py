from __future__ import annotations

import json
from pathlib import Path

import pytest
import yaml
from click.testing import CliRunner

from streams.cli.main import main
from streams.config.api_keys import hash_key
from streams.config.loader import load
from streams.ingress.requests.authentication import ApiKeyAuthenticator


@pytest.fixture(autouse=True)
def isolated(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("streams.logging.configure", lambda *_args, **_more: None)
    monkeypatch.setenv("SLUICE_LOG", "warning")


def new(*arguments: str) -> str:
    result = CliRunner().invoke(main, ["keys", "new", *arguments])
    assert result.exit_code == 0, result.output
    return result.output


def plain_key(text: str) -> str:
    (word,) = (word for word in text.split() if word.startswith("sk-sluice-"))
    return word


@pytest.mark.parametrize("tenant", ["acme", "no", "1"])
def test_printed_lines_are_a_configuration_that_accepts_the_key(tenant: str, tmp_path: Path) -> None:
    text = new("--tenant", tenant, "--models", "gpt-*, demo")
    (tmp_path / "sluice.yaml").write_text(text, "utf-8")

    settings = load(tmp_path / "sluice.yaml", {})

    principal = ApiKeyAuthenticator(settings.keys).lookup(b"Bearer " + plain_key(text).encode())
    assert principal is not None
    assert principal.tenant == tenant
    assert settings.keys[0].models == ("gpt-*", "demo")


def test_key_is_only_in_a_comment_and_its_hash_in_the_configuration() -> None:
    text = new("--tenant", "acme", "--id", "first")

    (entry,) = yaml.safe_load(text)["keys"]
    assert entry == {"id": "first", "tenant": "acme", "hash": hash_key(plain_key(text)), "models": ["*"]}


def test_keys_differ() -> None:
    assert plain_key(new("--tenant", "acme")) != plain_key(new("--tenant", "acme"))


def test_json_has_key_and_hash() -> None:
    created = json.loads(new("--tenant", "acme", "--json"))

    assert created["hash"] == hash_key(created["key"])
    assert created["id"].startswith("acme-")
