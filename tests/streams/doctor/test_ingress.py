from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

from streams.config.settings import ConfigurationError, Settings
from streams.doctor import ingress as door
from streams.doctor.finding import CheckFailed


def settings(**content: Any) -> Settings:
    return Settings.model_validate(content)


async def test_nobody_at_the_door_is_said_with_what_to_do(free_port: Callable[[], int]) -> None:
    port = free_port()

    with pytest.raises(CheckFailed, match=f"nobody listens at http://127.0.0.1:{port}; start it with `sluice up`"):
        await door.ingress(settings(http={"port": port}))


async def test_a_door_that_is_open_to_others_is_a_finding() -> None:
    with pytest.raises(ConfigurationError, match=r"0\.0\.0\.0 can be reached by others, and no keys are configured"):
        await door.configuration(settings(http={"host": "0.0.0.0"}))


def test_who_may_call_is_said_without_a_secret() -> None:
    assert door.authentication(settings()) == "no keys: anyone on this machine may call"
    key = {"id": "k", "tenant": "default", "hash": "sha256:" + "0" * 64}
    assert door.authentication(settings(keys=[key])) == "1 key"
