from __future__ import annotations

import stat
from pathlib import Path

import pytest

from streams.config.api_keys import check_binding
from streams.config.loader import load
from streams.config.settings import ConfigurationError
from streams.config.signing_keys import load_signing_keys
from streams.ingress.requests.authentication import ApiKeyAuthenticator, Principal
from streams.supervisor.first_start import KEY_FILE, first_start

TEMPLATE = Path(__file__).parents[3] / "deploy" / "sluice.yaml"


@pytest.fixture
def config(tmp_path: Path) -> Path:
    return tmp_path / "sluice.yaml"


def test_first_start_creates_a_configuration_that_accepts_its_key(config: Path) -> None:
    message = first_start(TEMPLATE, config)

    key = config.with_name(KEY_FILE).read_text("utf-8").strip()
    keyring = ApiKeyAuthenticator(load(config, {}).keys)
    assert keyring.lookup(f"Bearer {key}".encode()) == Principal("default", "first")
    assert keyring.lookup(b"Bearer sk-sluice-another") is None
    assert key not in message
    assert key not in config.read_text("utf-8")


def test_created_configuration_has_a_signing_key_and_keeps_the_settings_of_the_template(config: Path) -> None:
    first_start(TEMPLATE, config)

    created = load(config, {})
    assert load_signing_keys(created, may_create=False)
    assert created.kafka.partitions == load(TEMPLATE, {}).kafka.partitions


def test_created_configuration_may_bind_all_addresses(config: Path) -> None:
    first_start(TEMPLATE, config)

    check_binding(load(config, {"SLUICE_HTTP_HOST": "0.0.0.0"}))


def test_key_file_is_readable_by_its_owner_only(config: Path) -> None:
    first_start(TEMPLATE, config)

    assert stat.S_IMODE(config.with_name(KEY_FILE).stat().st_mode) == 0o600


def test_existing_configuration_is_unchanged(config: Path) -> None:
    config.write_text("deadline_s: 30\n")

    first_start(TEMPLATE, config)

    assert config.read_text() == "deadline_s: 30\n"
    assert not config.with_name(KEY_FILE).exists()


def test_invalid_existing_configuration_is_an_error(config: Path) -> None:
    config.write_text("models: {fast: {targets: [nowhere/x]}}\n")

    with pytest.raises(ConfigurationError, match="nowhere"):
        first_start(TEMPLATE, config)


def test_missing_directory_is_one_sentence(tmp_path: Path) -> None:
    with pytest.raises(ConfigurationError, match=r"create the file sluice\.yaml yourself"):
        first_start(TEMPLATE, tmp_path / "missing" / "sluice.yaml")
