from __future__ import annotations

import stat
from pathlib import Path

import pytest

from streams.config.api_keys import check_binding
from streams.config.loader import load
from streams.config.settings import ConfigurationError
from streams.ingress.requests.authentication import ApiKeyAuthenticator, Principal
from streams.supervisor.first_start import KEY_FILE, first_start

TEMPLATE = Path(__file__).parents[3] / "deploy" / "sluice.yaml"


@pytest.fixture
def config(tmp_path: Path) -> Path:
    return tmp_path / "sluice.yaml"


def test_the_first_start_makes_a_configuration_that_its_key_opens(config: Path) -> None:
    said = first_start(TEMPLATE, config)

    key = config.with_name(KEY_FILE).read_text("utf-8").strip()
    keyring = ApiKeyAuthenticator(load(config, {}).keys)
    assert keyring.lookup(f"Bearer {key}".encode()) == Principal("default", "first")
    assert keyring.lookup(b"Bearer sk-sluice-another") is None
    assert key not in said
    assert key not in config.read_text("utf-8")


def test_with_its_key_the_ingress_may_be_reached_from_outside_the_container(config: Path) -> None:
    first_start(TEMPLATE, config)

    check_binding(load(config, {"SLUICE_HTTP_HOST": "0.0.0.0"}))


def test_the_key_is_for_this_user_alone(config: Path) -> None:
    first_start(TEMPLATE, config)

    assert stat.S_IMODE(config.with_name(KEY_FILE).stat().st_mode) == 0o600


def test_a_configuration_that_is_there_is_left_as_it_is(config: Path) -> None:
    config.write_text("deadline_s: 30\n")

    first_start(TEMPLATE, config)

    assert config.read_text() == "deadline_s: 30\n"
    assert not config.with_name(KEY_FILE).exists()


def test_a_configuration_that_can_not_be_used_stops_the_start(config: Path) -> None:
    config.write_text("models: {fast: {targets: [nowhere/x]}}\n")

    with pytest.raises(ConfigurationError, match="nowhere"):
        first_start(TEMPLATE, config)


def test_a_folder_that_is_not_there_is_one_sentence(tmp_path: Path) -> None:
    with pytest.raises(ConfigurationError, match=r"put a sluice\.yaml there yourself"):
        first_start(TEMPLATE, tmp_path / "missing" / "sluice.yaml")
