from __future__ import annotations

import stat
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pytest

from streams.config.lint import find_warnings
from streams.config.loader import load
from streams.config.settings import ConfigurationError, Settings
from streams.config.signing_keys import SIGNING_KEY_FILE, load_signing_keys
from streams.config.start_checks import check_startable

KEYS: dict[str, Any] = {"keys": [{"id": "k", "tenant": "default", "hash": "sha256:" + "0" * 64}]}
SECRET = "s3cret-" * 6


def settings(state: Path, **more: Any) -> Settings:
    return Settings.model_validate({"state": str(state), **KEYS, **more})


def test_first_start_creates_one_key_that_only_this_user_can_read(tmp_path: Path) -> None:
    state = tmp_path / "state"

    with ThreadPoolExecutor(8) as pool:
        found = set(pool.map(lambda _: load_signing_keys(settings(state), may_create=True), range(16)))

    assert len(found) == 1
    assert found == {load_signing_keys(settings(state), may_create=False)}
    assert stat.S_IMODE((state / SIGNING_KEY_FILE).stat().st_mode) == 0o600
    assert [path.name for path in state.iterdir()] == [SIGNING_KEY_FILE]


def test_separate_ingress_or_filter_without_a_key_does_not_start(tmp_path: Path) -> None:
    with pytest.raises(ConfigurationError, match=r"kafka\.signing_keys"):
        load_signing_keys(settings(tmp_path), may_create=False)


def test_without_api_keys_there_is_no_signing_key(tmp_path: Path) -> None:
    assert load_signing_keys(Settings(state=tmp_path), may_create=True) == ()
    assert list(tmp_path.iterdir()) == []


def test_configured_keys_come_before_the_file_and_are_shown_nowhere(tmp_path: Path) -> None:
    configured = settings(tmp_path, kafka={"signing_keys": [SECRET, SECRET + "old"]})

    assert load_signing_keys(configured, may_create=True) == (SECRET.encode(), f"{SECRET}old".encode())
    assert configured.hash == settings(tmp_path).hash
    assert SECRET not in repr(configured) + configured.public_json + configured.model_dump_json()


def test_short_key_is_a_fault_of_the_configuration(tmp_path: Path) -> None:
    with pytest.raises(ConfigurationError, match="32 characters") as caught:
        check_startable(settings(tmp_path, kafka={"signing_keys": [SECRET, "short-secret"]}))

    assert "short-secret" not in str(caught.value)


def test_incomplete_file_is_an_error(tmp_path: Path) -> None:
    (tmp_path / SIGNING_KEY_FILE).write_text("abc")

    with pytest.raises(ConfigurationError, match="incomplete"):
        load_signing_keys(settings(tmp_path), may_create=True)


def test_variable_of_a_key_is_needed_only_by_commands_with_secrets(tmp_path: Path) -> None:
    file = tmp_path / "sluice.yaml"
    file.write_text("kafka: {signing_keys: ['${SIGNING}']}\n")

    assert load(file, {}, secrets=False).kafka.signing_keys
    with pytest.raises(ConfigurationError, match="SIGNING is not set"):
        load(file, {})


@pytest.mark.parametrize(("signing_keys", "warned"), [([], True), ([SECRET], False)])
def test_own_kafka_without_a_configured_key_is_a_warning(tmp_path: Path, signing_keys: list[str], warned: bool) -> None:
    own = settings(tmp_path, kafka={"bootstrap_servers": "kafka:9092", "signing_keys": signing_keys})

    assert any("kafka.signing_keys" in warning for warning in find_warnings(own)) is warned
