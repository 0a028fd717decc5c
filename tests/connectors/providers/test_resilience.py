from __future__ import annotations

import pytest
from pydantic import ValidationError

from connectors.providers.resilience import BreakerSettings
from schemas.json_types import JsonObject


@pytest.mark.parametrize(
    "wrong",
    [{"failure_ratio": 0}, {"failure_ratio": 1.1}, {"min_calls": 0}, {"probes": 0}, {"cooldown_s": 0}, {"window": 3}],
)
def test_invalid_breaker_settings_are_refused(wrong: JsonObject) -> None:
    with pytest.raises(ValidationError):
        BreakerSettings.model_validate(wrong)


def test_max_cooldown_below_cooldown_is_refused() -> None:
    with pytest.raises(ValidationError, match="max_cooldown_s must not be below cooldown_s"):
        BreakerSettings(cooldown_s=61)
