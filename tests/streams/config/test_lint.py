from __future__ import annotations

import pytest

from streams.config.lint import find_warnings
from streams.config.settings import Settings

PROVIDERS = {"real": {"kind": "openai", "base_url": "http://h/v1"}, "sim": {"kind": "simulated"}}


@pytest.mark.parametrize(
    ("policy", "targets", "simulated"),
    [
        ("ordered", ["real/x", "sim/echo"], "sim/echo"),
        ("ordered", ["sim/a", "real/x", "sim/b", "sim/c"], "sim/b, sim/c"),
        ("weighted", ["sim/echo", "real/x"], "sim/echo"),
        ("latency", ["sim/echo", "real/x"], "sim/echo"),
    ],
)
def test_simulated_target_behind_a_real_one_is_a_warning(policy: str, targets: list[str], simulated: str) -> None:
    models = {"demo": {"policy": policy, "targets": targets}}

    (warning,) = find_warnings(Settings.model_validate({"providers": PROVIDERS, "models": models}))

    assert warning.startswith(f"models.demo: {simulated} is simulated and is a fallback of a real target")


@pytest.mark.parametrize("targets", [["sim/echo"], ["sim/a", "sim/b"], ["real/x", "real/y"], ["sim/echo", "real/x"]])
def test_other_targets_are_no_warning(targets: list[str]) -> None:
    models = {"demo": {"targets": targets}}

    assert find_warnings(Settings.model_validate({"providers": PROVIDERS, "models": models})) == []
