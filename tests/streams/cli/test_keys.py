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
def alone(monkeypatch: pytest.MonkeyPatch) -> None:
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
def test_all_that_is_printed_is_a_configuration_in_which_the_key_works(tenant: str, tmp_path: Path) -> None:
    text = new("--tenant", tenant, "--models", "gpt-*, demo")
    (tmp_path / "sluice.yaml").write_text(text, "utf-8")

    settings = load(tmp_path / "sluice.yaml", {})

    caller = ApiKeyAuthenticator(settings).lookup(b"Bearer " + plain_key(text).encode())
    assert caller is not None
    assert caller.tenant == tenant
    assert settings.keys[0].models == ("gpt-*", "demo")


def test_the_key_itself_stands_in_a_comment_and_only_its_hash_in_the_configuration() -> None:
    text = new("--tenant", "acme", "--id", "first")

    (entry,) = yaml.safe_load(text)["keys"]
    assert entry == {"id": "first", "tenant": "acme", "hash": hash_key(plain_key(text)), "models": ["*"]}


def test_two_keys_are_never_the_same() -> None:
    assert plain_key(new("--tenant", "acme")) != plain_key(new("--tenant", "acme"))


def test_a_program_gets_json() -> None:
    made = json.loads(new("--tenant", "acme", "--json"))

    assert made["hash"] == hash_key(made["key"])
    assert made["id"].startswith("acme-")
