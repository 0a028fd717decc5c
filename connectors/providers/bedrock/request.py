"""Translation of OpenAI's chat request into a Converse request.

Source: Amazon Bedrock API Reference, "Converse: Request Syntax", "InferenceConfiguration", "RequestMetadata".
"""

from __future__ import annotations

import re

from connectors.providers.bedrock.messages import ConverseMessages
from connectors.providers.bedrock.models import reasoning_fields, top_k_fields
from connectors.providers.bedrock.parameters import CHAT
from connectors.providers.bedrock.tools import ConverseTools
from connectors.providers.parameters import AppliedParameters, invalid_parameter
from connectors.providers.provider import ProviderCall
from schemas.events.parts import Change
from schemas.json_types import JsonObject

INFERENCE = ("maxTokens", "temperature", "topP")

TIERS = {"default", "flex", "priority"}

_LABEL = re.compile(r"[a-zA-Z0-9\s:_@$#=/+,\-.]{0,256}")


def write_chat(call: ProviderCall) -> tuple[JsonObject, list[Change]]:
    """Write the request body, and its differences from the caller's request.

    Raises:
        ProviderError: invalid_request, naming the unsupported parameter.

    """
    applied = CHAT.apply(call.body, call.model)
    conversation = ConverseMessages(call.body["messages"], call.model)
    tools = ConverseTools(call.model, applied, uses_tools=conversation.uses_tools)
    fields, output = _model_fields(call.model, applied)
    parts: JsonObject = {
        "messages": conversation.messages,
        "system": conversation.system,
        "inferenceConfig": _inference(applied),
        "toolConfig": tools.config,
        "additionalModelRequestFields": fields,
        "requestMetadata": _metadata(applied),
        "serviceTier": _service_tier(applied),
        "outputConfig": tools.output | output,
        **{name: applied.passed[name] for name in ("guardrailConfig", "performanceConfig") if name in applied.passed},
    }
    return {name: part for name, part in parts.items() if part}, [*applied.changes, *conversation.changes]


def _inference(applied: AppliedParameters) -> JsonObject:
    config = {name: applied.passed[name] for name in INFERENCE if name in applied.passed}
    stop = applied.transform.get("stop")
    stops = [stop] if isinstance(stop, str) else list(stop or ())
    if not all(stops):
        raise invalid_parameter("stop", "stop must not contain an empty text for bedrock")
    if stops:
        config["stopSequences"] = stops
        _note(applied, "stop", "inferenceConfig.stopSequences")
    return config


def _model_fields(model: str, applied: AppliedParameters) -> tuple[JsonObject, JsonObject]:
    """Write parameters without a Converse field into the model's own fields; the caller's own fields win."""
    parameters = applied.transform
    fields: JsonObject = {}
    output: JsonObject = {}
    given = parameters.get("additionalModelRequestFields", {})
    if not isinstance(given, dict):
        raise invalid_parameter("additionalModelRequestFields", "additionalModelRequestFields must be an object")
    if "top_k" in parameters:
        fields = top_k_fields(model, parameters["top_k"])
        _note(applied, "top_k", "additionalModelRequestFields")
    if "reasoning_effort" in parameters:
        reasoning = reasoning_fields(model, str(parameters["reasoning_effort"]), applied.passed.get("maxTokens"))
        own, output = reasoning or ({}, {})
        fields |= own
        detail = ", ".join([*own, *(f"outputConfig.{name}" for name in output)]) or "no thinking is the default"
        if reasoning is None:
            detail = "the model has no such setting"
        _note(applied, "reasoning_effort", detail, dropped=reasoning is None)
    return {**fields, **given}, output


def _metadata(applied: AppliedParameters) -> JsonObject:
    """Pass the caller's labels where they are valid; AWS writes them into its invocation log."""
    labels: JsonObject = applied.transform.get("metadata") or {}
    if not labels:
        return {}
    fit = all(key and _LABEL.fullmatch(key) and _LABEL.fullmatch(str(value)) for key, value in labels.items())
    _note(applied, "metadata", "requestMetadata" if fit else "not valid for requestMetadata", dropped=not fit)
    return labels if fit else {}


def _service_tier(applied: AppliedParameters) -> JsonObject:
    tier = applied.transform.get("service_tier")
    if tier is None:
        return {}
    known = tier in TIERS
    _note(applied, "service_tier", "serviceTier" if known else "Bedrock has no such tier", dropped=not known)
    return {"type": tier} if known else {}


def _note(applied: AppliedParameters, param: str, detail: str, *, dropped: bool = False) -> None:
    applied.changes.append(Change(param=param, action="dropped" if dropped else "transformed", detail=detail))
