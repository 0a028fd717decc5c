"""Validation of OpenAI's request bodies, and its error object.

A valid body is passed on as the caller wrote it. Unknown parameters are not checked, because OpenAI-compatible servers
accept more parameters than OpenAI. The ranges are those of OpenAI's published OpenAPI document.
"""

from __future__ import annotations

import re
from typing import Annotated, Any, Literal

import orjson
from pydantic import (
    AfterValidator,
    Field,
    Tag,
    TypeAdapter,
    ValidationError,
    WithJsonSchema,
    WrapValidator,
    model_validator,
)
from pydantic_core import PydanticCustomError

from schemas.events.parts import Failure
from schemas.events.vocabulary import Operation
from schemas.kafka.topics import MAX_REQUEST_BYTES
from schemas.openai.errors import invalid, to_failure
from schemas.openai.messages import Message
from schemas.openai.tagged_unions import OWN, TAGGED, OpenAIModel, discriminated_by

MAX_DEPTH = 100
"""Deepest nesting of objects and lists. No real request is deeper, and deep documents are expensive to process."""
MAX_INPUTS = 2048
"""Embedding inputs in one request."""

Count = Annotated[int, Field(ge=1)]
Penalty = Annotated[float, Field(ge=-2, le=2)]
Name = Annotated[str, Field(min_length=1, max_length=64)]


_CONTROL_CHARACTERS = re.compile("[\x00-\x1f\x7f-\x9f\u2028\u2029\ud800-\udfff]")


def _printable(value: str) -> str:
    """Refuse characters that neither a header nor a target's name can have."""
    if _CONTROL_CHARACTERS.search(value):
        raise PydanticCustomError(OWN + "model", "must not contain control characters or line breaks")
    return value


ModelName = Annotated[str, Field(min_length=1), AfterValidator(_printable)]


class Function(OpenAIModel):
    """A function that the model may call."""

    name: Name
    description: str | None = None
    parameters: dict[str, object] | None = None
    strict: bool | None = None


class FunctionTool(OpenAIModel):
    """A tool that takes JSON."""

    function: Function


class Custom(OpenAIModel):
    """A tool that takes free-form text."""

    name: Name
    description: str | None = None


class CustomTool(OpenAIModel):
    """A custom tool in the list of tools."""

    custom: Custom


Tool = Annotated[
    Annotated[FunctionTool, Tag("@function")] | Annotated[CustomTool, Tag("@custom")],
    discriminated_by("type", "function", "custom"),
]


class ResponseFormat(OpenAIModel):
    """Format of the answer. Servers accept more types than OpenAI."""

    type: str


def _stop(value: object, _: object) -> object:
    """Validate without a union, which would report one error twice."""
    texts = value if isinstance(value, list) else [value]
    if value is not None and (len(texts) > 4 or not all(isinstance(text, str) for text in texts)):  # noqa: PLR2004 - OpenAI's
        raise PydanticCustomError(OWN + "stop", "must be text, or a list of at most 4 texts")
    return value


STOP = {"anyOf": [{"type": ["string", "null"]}, {"type": "array", "items": {"type": "string"}, "maxItems": 4}]}


def _tool_choice(value: object, _: object) -> object:
    if not (value is None or isinstance(value, dict) or value in ("none", "auto", "required")):
        raise PydanticCustomError(OWN + "tool_choice", "must be none, auto, required, or an object that names a tool")
    return value


TOOL_CHOICE = {"anyOf": [{"enum": ["none", "auto", "required", None]}, {"type": "object"}]}


class ChatBody(OpenAIModel):
    """``POST /v1/chat/completions``."""

    model: ModelName
    messages: Annotated[list[Message], Field(min_length=1, fail_fast=True)]
    frequency_penalty: Penalty | None = None
    functions: Annotated[list[Function], Field(min_length=1, max_length=128, fail_fast=True)] | None = None
    logit_bias: dict[str, Annotated[float, Field(ge=-100, le=100)]] | None = None
    logprobs: bool | None = None
    max_completion_tokens: Count | None = None
    max_tokens: Count | None = None
    metadata: Metadata | None = None
    n: Annotated[int, Field(ge=1, le=128)] | None = None
    parallel_tool_calls: bool | None = None
    presence_penalty: Penalty | None = None
    response_format: ResponseFormat | None = None
    seed: int | None = None
    stop: Annotated[Any, WrapValidator(_stop), WithJsonSchema(STOP)] = None
    stream: bool | None = None
    temperature: Annotated[float, Field(ge=0, le=2)] | None = None
    tool_choice: Annotated[Any, WrapValidator(_tool_choice), WithJsonSchema(TOOL_CHOICE)] = None
    tools: Annotated[list[Tool], Field(max_length=128, fail_fast=True)] | None = None
    top_logprobs: Annotated[int, Field(ge=0, le=20)] | None = None
    top_p: Annotated[float, Field(ge=0, le=1)] | None = None
    user: str | None = None

    @model_validator(mode="after")
    def _fits_together(self) -> ChatBody:
        if self.top_logprobs is not None and not self.logprobs:
            raise PydanticCustomError(TAGGED + "top_logprobs", "needs logprobs to be true")
        return self


Metadata = Annotated[
    dict[Annotated[str, Field(max_length=64)], Annotated[str, Field(max_length=512)]], Field(max_length=16)
]
"""The caller's labels."""


def _input(value: object, _: object) -> object:
    """Validate text or token ids, one or many, without a union, which would report one error four times."""
    if isinstance(value, str) and value:
        return value
    if not isinstance(value, list) or not 1 <= len(value) <= MAX_INPUTS:
        raise PydanticCustomError(OWN + "input", "must be text that is not empty, or a list of 1 to 2048 of them")
    if all(isinstance(item, str) for item in value):
        if not all(value):
            raise PydanticCustomError(OWN + "input", "contains an empty text, which cannot be embedded")
    elif not (_tokens(value) or all(isinstance(item, list) and item and _tokens(item) for item in value)):
        raise PydanticCustomError(
            OWN + "input", "must be texts, or token ids, or lists of token ids, and not a mixture"
        )
    return value


def _tokens(value: list[object]) -> bool:
    return all(type(item) is int for item in value)


_TEXT = {"type": "string", "minLength": 1}
_TOKEN = {"type": "integer"}
_MANY = (_TEXT, _TOKEN, {"type": "array", "items": _TOKEN, "minItems": 1})
INPUT = {"anyOf": [_TEXT, *({"type": "array", "items": item, "minItems": 1, "maxItems": MAX_INPUTS} for item in _MANY)]}


class EmbeddingsBody(OpenAIModel):
    """``POST /v1/embeddings``."""

    model: ModelName
    input: Annotated[Any, WrapValidator(_input), WithJsonSchema(INPUT)]
    dimensions: Count | None = None
    encoding_format: Literal["float", "base64"] | None = None
    metadata: Metadata | None = None
    user: str | None = None


_BODIES: dict[Operation, TypeAdapter[Any]] = {
    "chat": TypeAdapter(ChatBody),
    "embeddings": TypeAdapter(EmbeddingsBody),
}

_TOO_DEEP = invalid("invalid_json", f"the body nests deeper than {MAX_DEPTH} levels")


def parse_body(body: bytes) -> dict[str, Any] | Failure:
    """Return the JSON object of a body, or the failure if there is none. Of a repeated key the last value counts."""
    if len(body) > MAX_REQUEST_BYTES:
        message = f"the body has {len(body)} bytes, and the limit is {MAX_REQUEST_BYTES}"
        return Failure(status=413, type="invalid_request_error", code="request_too_large", message=message)
    try:
        document = orjson.loads(body)
    except orjson.JSONDecodeError as error:
        if "UTF-8" in error.msg:  # the position is left out
            return invalid("invalid_json", "the body is not UTF-8")
        if is_too_deep(error):
            return _TOO_DEEP
        return invalid("invalid_json", f"the body is not valid JSON (line {error.lineno}, column {error.colno})")
    if not isinstance(document, dict):
        return invalid("invalid_json", "the body is not a JSON object")
    if body.count(b"{") + body.count(b"[") > MAX_DEPTH and nesting_depth(document) > MAX_DEPTH:
        return _TOO_DEEP
    return document


def is_too_deep(error: orjson.JSONDecodeError) -> bool:
    """Return whether the document exceeds 1,024 levels, where orjson stops with an error."""
    return "depth" in error.msg


def nesting_depth(document: object) -> int:
    """Return the nesting depth of lists and objects. Iterative, so that no depth exceeds the recursion limit."""
    level, levels = [document], 0
    while level := [item for item in level if isinstance(item, dict | list)]:
        level = [inner for item in level for inner in (item.values() if isinstance(item, dict) else item)]
        levels += 1
    return levels


def validation_failure(operation: Operation, document: dict[str, Any]) -> Failure | None:
    """Return the first error of a body, or None if it is valid. The failure quotes nothing that the caller wrote."""
    try:
        _BODIES[operation].validate_python(document)
    except ValidationError as error:
        return to_failure(error)
    return None


def error_body(failure: Failure) -> bytes:
    """Return OpenAI's error object, which every client of its API can parse."""
    error = {"message": failure.message, "type": failure.type, "param": failure.param, "code": failure.code}
    return orjson.dumps({"error": error})
