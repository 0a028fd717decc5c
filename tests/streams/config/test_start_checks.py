from __future__ import annotations

from typing import Any

import pytest

from streams.config.settings import ConfigurationError, Settings
from streams.config.start_checks import check_startable


@pytest.mark.parametrize(
    ("content", "message"),
    [
        ({"http": {"host": "0.0.0.0"}}, "no keys are configured"),
        ({"http": {"instance": 4, "instances": 5}}, "instance 4 gets none of the 4 reply partitions"),
    ],
)
def test_configuration_that_can_not_start_is_an_error(content: dict[str, Any], message: str) -> None:
    with pytest.raises(ConfigurationError, match=message):
        check_startable(Settings.model_validate(content))


def test_default_configuration_can_start() -> None:
    check_startable(Settings())
