"""Translation of OpenAI's reasoning_effort for each generation of Claude.

Source: Anthropic's pages "Thinking", "Extended thinking" and "Effort".
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from connectors.providers.anthropic.models import ModelTraits
from connectors.providers.anthropic.tools import FORCED_CHOICES
from connectors.providers.parameters import invalid_parameter
from schemas.events.parts import Change
from schemas.json_types import JsonObject

MIN_BUDGET_TOKENS = 1024
"""Smallest thinking budget in tokens, set by Anthropic. The budget must also be less than max_tokens."""
BUDGET_SHARES = {"minimal": 0.1, "low": 0.2, "medium": 0.5, "high": 0.8, "xhigh": 0.9, "max": 0.95}
"""Share of max_tokens for thinking, for models that need a number."""


def write_thinking(wire: JsonObject, parameters: Mapping[str, Any], traits: ModelTraits, changes: list[Change]) -> None:
    """Write reasoning_effort, after tools and format. A caller's own ``thinking`` is passed unchanged.

    Raises:
        ProviderError: invalid_request, for an effort that this model does not support, alone or with the rest.

    """
    effort = parameters.get("reasoning_effort")
    if effort is not None:
        _write_effort(wire, effort, traits)
        changes.append(Change(param="reasoning_effort", action="transformed", detail=_change_detail(wire, traits)))
    if isinstance(parameters.get("output_config"), dict):
        wire["output_config"] = {**parameters["output_config"], **wire.get("output_config", {})}
    param = "reasoning_effort"
    if isinstance(parameters.get("thinking"), dict):
        wire["thinking"], param = parameters["thinking"], "thinking"
    if wire.get("thinking", {}).get("type") == "enabled":
        _check_tools(wire, param, changes)


def _write_effort(wire: JsonObject, effort: str, traits: ModelTraits) -> None:
    if effort == "none":
        _write_none(wire, traits)
    elif traits.thinking == "budget" and effort in traits.efforts:
        wire["thinking"] = {"type": "enabled", "budget_tokens": _budget(wire, effort)}
    elif traits.thinking == "adaptive" and (effort in traits.efforts or effort == "minimal"):
        wire["thinking"] = {"type": "adaptive"} | ({} if traits.returns_thinking else {"display": "summarized"})
        level = "low" if effort == "minimal" else effort
        wire["output_config"] = {**wire.get("output_config", {}), "effort": level}
    else:
        raise _unsupported_effort(wire, traits)


def _write_none(wire: JsonObject, traits: ModelTraits) -> None:
    if traits.thinking_off == "never":
        raise _unsupported_effort(wire, traits)
    if traits.thinking_off != "omitted":
        wire["thinking"] = {"type": traits.thinking_off}


def _unsupported_effort(wire: JsonObject, traits: ModelTraits) -> Exception:
    efforts = [*([] if traits.thinking_off == "never" else ["none"]), *traits.efforts]
    return invalid_parameter(
        "reasoning_effort", f"reasoning_effort can be {', '.join(efforts)} at anthropic/{wire['model']}"
    )


def _budget(wire: JsonObject, effort: str) -> int:
    limit: int = wire["max_tokens"]
    if limit <= MIN_BUDGET_TOKENS:
        why = f"reasoning_effort needs max_completion_tokens above {MIN_BUDGET_TOKENS} at anthropic/{wire['model']}"
        raise invalid_parameter("reasoning_effort", why)
    return min(max(MIN_BUDGET_TOKENS, int(limit * BUDGET_SHARES[effort])), limit - 1)


def _change_detail(wire: JsonObject, traits: ModelTraits) -> str:
    if "thinking" not in wire:
        return "no thinking is the default"
    return "output_config.effort" if traits.thinking == "adaptive" else "thinking.budget_tokens"


def _check_tools(wire: JsonObject, param: str, changes: list[Change]) -> None:
    """Check a thinking budget against the tools.

    With a budget Anthropic accepts neither a forced tool nor a tool result without the thinking before it.
    """
    if wire.get("tool_choice", {}).get("type") in FORCED_CHOICES:
        why = "is not supported together with a forced tool or a response_format"
        raise invalid_parameter(param, f"{param} {why} at anthropic/{wire['model']}")
    if _lacks_thinking(wire["messages"]):
        del wire["thinking"]
        changes.append(Change(param=param, action="dropped", detail="the turn with the tool calls has no thinking"))


def _lacks_thinking(turns: list[JsonObject]) -> bool:
    last: list[JsonObject] = next((turn["content"] for turn in reversed(turns) if turn["role"] == "assistant"), [])
    return any(block["type"] == "tool_use" for block in last) and "thinking" not in last[0]["type"]
