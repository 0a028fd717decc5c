"""What each Claude model takes: a table by pattern of its name, since one string names the model and nothing else.

Sources: Anthropic's pages "Thinking", "Troubleshooting thinking" (the table by model), "Effort", "Structured outputs",
and the migration guide of each model.
"""

from __future__ import annotations

import fnmatch
from dataclasses import dataclass, replace
from typing import Literal

BUDGET_EFFORTS = ("minimal", "low", "medium", "high", "xhigh", "max")
EFFORTS = ("low", "medium", "high", "max")
ALL_EFFORTS = ("low", "medium", "high", "xhigh", "max")


@dataclass(frozen=True, slots=True)
class ModelTraits:
    """What sets one generation apart from the next."""

    thinking: Literal["none", "budget", "adaptive"]
    """Not at all, with a number of tokens, or as the model sees fit for an effort."""
    efforts: tuple[str, ...] = ()
    """The values of ``reasoning_effort`` that can be said, beside none."""
    thinking_off: Literal["omitted", "disabled", "between_tools", "never"] = "omitted"
    """How to ask for no thinking."""
    returns_thinking: bool = True
    """Whether the thoughts come back without being asked for."""
    sampling: Literal["both", "one", "none"] = "one"
    """Of temperature and top_p, what may be said."""
    can_force_tools: bool = True
    """Whether a tool choice of any or of one tool is taken."""
    has_json_schema: bool = True
    """Whether ``output_config.format`` and strict tools are taken."""


CLAUDE_3 = ModelTraits("none", sampling="both", has_json_schema=False)
CLAUDE_4 = ModelTraits("budget", BUDGET_EFFORTS, sampling="both", has_json_schema=False)
CLAUDE_4_5 = ModelTraits("budget", BUDGET_EFFORTS)
CLAUDE_4_6 = ModelTraits("adaptive", EFFORTS)
CLAUDE_4_7 = ModelTraits("adaptive", ALL_EFFORTS, returns_thinking=False, sampling="none")
CLAUDE_5 = replace(CLAUDE_4_7, thinking_off="disabled")
SONNET_5_5 = replace(CLAUDE_5, thinking_off="between_tools", can_force_tools=False)
ALWAYS_THINKING = replace(CLAUDE_5, thinking_off="never", can_force_tools=False)

MODELS: tuple[tuple[str, ModelTraits], ...] = (
    ("*claude-3-7-*", CLAUDE_4),
    ("*claude-3*", CLAUDE_3),
    ("*claude-2*", CLAUDE_3),
    ("*claude-instant*", CLAUDE_3),
    ("*claude-opus-4-[15]*", CLAUDE_4_5),
    ("*claude-sonnet-4-5*", CLAUDE_4_5),
    ("*claude-haiku-4-5*", CLAUDE_4_5),
    ("*claude-*-4-6*", CLAUDE_4_6),
    ("*claude-*-4-[789]*", CLAUDE_4_7),
    ("*claude-opus-4*", CLAUDE_4),
    ("*claude-sonnet-4*", CLAUDE_4),
    ("*claude-sonnet-5-5*", SONNET_5_5),
    ("*claude-opus-5-5*", ALWAYS_THINKING),
    ("*claude-opus-5*", CLAUDE_5),
    ("*claude-sonnet-5*", CLAUDE_5),
    ("*claude-haiku-5*", CLAUDE_5),
    ("*claude-*", ALWAYS_THINKING),  # Fable, Mythos, and whatever is newer than this table
    ("*", CLAUDE_4),  # a server that speaks Anthropic's language for models of its own
)
"""The first pattern that matches counts."""


def traits_of(model: str) -> ModelTraits:
    """What this model takes."""
    return next(traits for pattern, traits in MODELS if fnmatch.fnmatchcase(model, pattern))
