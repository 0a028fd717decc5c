"""Translation of OpenAI's chat request into a Messages request.

Source: Anthropic's API reference, "Create a Message"; "Define tools", "Structured outputs", "Thinking" and "Effort".
"""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from typing import Any

from connectors.providers.anthropic.messages import write_messages
from connectors.providers.anthropic.models import ModelTraits, traits_of
from connectors.providers.anthropic.parameters import CHAT, SAMPLING
from connectors.providers.anthropic.structured_output import write_format
from connectors.providers.anthropic.thinking import write_thinking
from connectors.providers.anthropic.tools import write_tools
from connectors.providers.parameters import invalid_parameter
from connectors.providers.provider import ProviderCall
from schemas.events.parts import Change
from schemas.json_types import JsonObject

NO_SAMPLING_SINCE = "2026-10-21"
"""Version of the API from which no model accepts temperature, top_p or top_k."""


def write_request(call: ProviderCall, default_max_tokens: int, version: str) -> tuple[JsonObject, list[Change]]:
    """Write the body of ``POST /messages``, and its differences from the caller's request.

    Raises:
        ProviderError: invalid_request, naming the unsupported parameter.

    """
    traits = traits_of(call.model)
    applied = CHAT.apply(call.body, call.model)
    parameters, changes = applied.transform, applied.changes
    wire: JsonObject = {"model": call.model, "max_tokens": _max_tokens(parameters, default_max_tokens, changes)}
    wire |= write_messages(call.body["messages"], changes)
    wire |= applied.passed
    _write_stop(wire, parameters, changes)
    _write_user(wire, parameters, changes)
    write_tools(wire, parameters, traits, changes)
    write_format(wire, parameters, traits, changes)
    write_thinking(wire, parameters, traits, changes)
    _remove_sampling(wire, traits, version, changes)
    if call.stream:
        wire["stream"] = True
    return wire, changes


def _max_tokens(parameters: Mapping[str, Any], default: int, changes: list[Change]) -> int:
    """Return the token limit: Anthropic requires one, so requests without it get the configured one."""
    limit = parameters.get("max_completion_tokens", parameters.get("max_tokens"))
    if limit is None:
        changes.append(Change(param="max_tokens", action="transformed", detail=f"{default} by default"))
        return default
    if "max_completion_tokens" in parameters:
        changes.append(Change(param="max_completion_tokens", action="renamed", detail="max_tokens"))
    return int(limit)


def _write_stop(wire: JsonObject, parameters: Mapping[str, Any], changes: list[Change]) -> None:
    stops = parameters.get("stop", [])
    stops = [stops] if isinstance(stops, str) else stops
    if any(not stop.strip() for stop in stops):
        raise invalid_parameter("stop", "stop contains a blank text, which anthropic does not accept")
    if stops:
        wire["stop_sequences"] = stops
        changes.append(Change(param="stop", action="renamed", detail="stop_sequences"))


def _write_user(wire: JsonObject, parameters: Mapping[str, Any], changes: list[Change]) -> None:
    """Write the user as a digest: Anthropic requires an opaque id, and callers may send a name or an address."""
    name = next((name for name in ("safety_identifier", "user") if parameters.get(name)), None)
    if name is None:
        return
    wire["metadata"] = {"user_id": hashlib.blake2b(parameters[name].encode(), digest_size=16).hexdigest()}
    changes.append(Change(param=name, action="transformed", detail="metadata.user_id, as a digest"))


def _remove_sampling(wire: JsonObject, traits: ModelTraits, version: str, changes: list[Change]) -> None:
    """Drop sampling parameters that the API version or a thinking model refuses.

    Two of which only one is allowed are an error.
    """
    thinks = wire.get("thinking", {}).get("type") in {"enabled", "adaptive"}
    if version >= NO_SAMPLING_SINCE or thinks:
        reason = "not with thinking" if thinks else f"not since version {NO_SAMPLING_SINCE} of the API"
        dropped = [name for name in SAMPLING if wire.pop(name, None) is not None]
        changes += [Change(param=name, action="dropped", detail=reason) for name in dropped]
    elif traits.sampling == "one" and "temperature" in wire and "top_p" in wire:
        raise invalid_parameter(
            "top_p", f"top_p is not supported together with temperature by anthropic/{wire['model']}"
        )
