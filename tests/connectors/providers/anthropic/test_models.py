from __future__ import annotations

import pytest

from connectors.providers.anthropic import models
from connectors.providers.anthropic.models import MODELS, ModelTraits, traits_of


@pytest.mark.parametrize(
    ("model", "traits"),
    [
        ("claude-3-5-haiku-20241022", models.CLAUDE_3),
        ("claude-3-7-sonnet-20250219", models.CLAUDE_4),
        ("claude-sonnet-4-20250514", models.CLAUDE_4),
        ("claude-opus-4-1-20250805", models.CLAUDE_4_5),
        ("claude-haiku-4-5-20251001", models.CLAUDE_4_5),
        ("us.anthropic.claude-sonnet-4-5-20250929-v1:0", models.CLAUDE_4_5),
        ("claude-opus-4-6", models.CLAUDE_4_6),
        ("claude-opus-4-8", models.CLAUDE_4_7),
        ("claude-opus-5", models.CLAUDE_5),
        ("claude-opus-5-5", models.ALWAYS_THINKING),
        ("claude-sonnet-5", models.CLAUDE_5),
        ("claude-sonnet-5-5", models.SONNET_5_5),
        ("claude-haiku-5-5", models.CLAUDE_5),
        ("claude-fable-5-1", models.ALWAYS_THINKING),
        ("claude-opus-9", models.ALWAYS_THINKING),
        ("some-other-model", models.CLAUDE_4),
    ],
)
def test_traits_follow_from_the_models_name(model: str, traits: ModelTraits) -> None:
    assert traits_of(model) == traits


def test_no_pattern_is_hidden_by_an_earlier_one() -> None:
    patterns = [pattern for pattern, _ in MODELS]

    for pattern in patterns:
        name = pattern.replace("[15]", "1").replace("[789]", "7").strip("*").replace("*", "opus")
        assert traits_of(name or "x") == dict(MODELS)[pattern]
