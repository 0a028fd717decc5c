"""Capabilities of Claude models: a table by pattern of the model's name.

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
    """Capabilities of one generation of models."""

    thinking: Literal["none", "budget", "adaptive"]
    """Thinking: not supported, with a token budget, or adaptive to an effort."""
    efforts: tuple[str, ...] = ()
    """Supported values of ``reasoning_effort``, in addition to none."""
    thinking_off: Literal["omitted", "disabled", "between_tools", "never"] = "omitted"
    """Setting that turns thinking off."""
    returns_thinking: bool = True
    """True if thinking is returned without a request for it."""
    sampling: Literal["both", "one", "none"] = "one"
    """Sampling parameters that may be sent: both temperature and top_p, only one of them, or none."""
    can_force_tools: bool = True
    """True if it accepts a tool choice of any, or of one tool."""
    has_json_schema: bool = True
    """True if it accepts ``output_config.format`` and strict tools."""


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
    ("*claude-*", ALWAYS_THINKING),  # Fable, Mythos, and models that are newer than this table
    ("*", CLAUDE_4),  # other models behind Anthropic's API
)
"""Capabilities by shell pattern of the model's name; the first match applies."""


def traits_of(model: str) -> ModelTraits:
    """Return the capabilities of a model."""
    return next(traits for pattern, traits in MODELS if fnmatch.fnmatchcase(model, pattern))
