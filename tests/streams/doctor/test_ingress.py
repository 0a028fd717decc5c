from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

from streams.config.settings import ConfigurationError, Settings
from streams.doctor import ingress
from streams.doctor.finding import CheckFailed, CheckWarning


def settings(**content: Any) -> Settings:
    return Settings.model_validate(content)


async def test_refused_connection_is_reported_with_the_command_to_start(free_port: Callable[[], int]) -> None:
    port = free_port()

    with pytest.raises(
        CheckFailed, match=f"connection refused at http://127.0.0.1:{port}; start the ingress with `sluice up`"
    ):
        await ingress.ingress(settings(http={"port": port}))


async def test_ingress_without_keys_on_a_public_address_fails() -> None:
    with pytest.raises(ConfigurationError, match=r"other machines can reach 0\.0\.0\.0, and no keys are configured"):
        await ingress.configuration(settings(http={"host": "0.0.0.0"}))


def test_authentication_is_described_without_secrets() -> None:
    assert ingress.authentication(settings()) == "no keys: every caller on this machine is accepted"
    key = {"id": "k", "tenant": "default", "hash": "sha256:" + "0" * 64}
    assert ingress.authentication(settings(keys=[key])) == "1 key"


async def test_simulated_fallback_is_a_warning() -> None:
    providers = {"real": {"kind": "openai", "base_url": "http://h/v1"}, "sim": {"kind": "simulated"}}
    configured = settings(providers=providers, models={"demo": {"targets": ["real/x", "sim/echo"]}})

    with pytest.raises(CheckWarning, match=r"models\.demo: sim/echo is simulated"):
        await ingress.configuration(configured)
