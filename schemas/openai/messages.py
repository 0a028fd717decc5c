"""Messages of a conversation in OpenAI's format: roles, content parts and tool calls."""

from __future__ import annotations

from typing import Annotated

from pydantic import ConfigDict, Field, JsonValue, Tag, model_validator
from pydantic_core import PydanticCustomError

from schemas.openai.tagged_unions import TAGGED, TEXT_OR_PARTS, OpenAIModel, Text, discriminated_by


class TextPart(OpenAIModel):
    """Text."""

    text: str


class RefusalPart(OpenAIModel):
    """The model's text for a refusal to answer."""

    refusal: str


class ImageUrl(OpenAIModel):
    """URL of an image, or the image itself as a data URL."""

    url: str = Field(min_length=1)
    detail: str | None = None


class ImagePart(OpenAIModel):
    """An image."""

    image_url: ImageUrl


class InputAudio(OpenAIModel):
    """Audio in base64."""

    data: str
    format: str


class AudioPart(OpenAIModel):
    """Audio."""

    input_audio: InputAudio


class File(OpenAIModel):
    """A file by its id, or in base64."""

    file_data: str | None = None
    file_id: str | None = None
    filename: str | None = None


class FilePart(OpenAIModel):
    """A file."""

    file: File


UserPart = Annotated[
    Annotated[TextPart, Tag("@text")]
    | Annotated[ImagePart, Tag("@image_url")]
    | Annotated[AudioPart, Tag("@input_audio")]
    | Annotated[FilePart, Tag("@file")],
    discriminated_by("type", "text", "image_url", "input_audio", "file"),
]
AssistantPart = Annotated[
    Annotated[TextPart, Tag("@text")] | Annotated[RefusalPart, Tag("@refusal")],
    discriminated_by("type", "text", "refusal"),
]
PlainPart = Annotated[Annotated[TextPart, Tag("@text")], discriminated_by("type", "text")]

UserContent = Annotated[
    Text | Annotated[list[UserPart], Field(min_length=1, fail_fast=True), Tag("@parts")], TEXT_OR_PARTS
]
AssistantContent = Annotated[
    Text | Annotated[list[AssistantPart], Field(min_length=1, fail_fast=True), Tag("@parts")], TEXT_OR_PARTS
]
PlainContent = Annotated[
    Text | Annotated[list[PlainPart], Field(min_length=1, fail_fast=True), Tag("@parts")], TEXT_OR_PARTS
]


class CalledFunction(OpenAIModel):
    """A function that the model wants called."""

    name: str
    arguments: str
    """JSON as the model wrote it, possibly invalid."""


class CalledCustom(OpenAIModel):
    """A free-form tool that the model wants called."""

    name: str
    input: str


class FunctionCall(OpenAIModel):
    """One call of a function."""

    id: str
    function: CalledFunction


class CustomCall(OpenAIModel):
    """One call of a free-form tool."""

    id: str
    custom: CalledCustom


ToolCall = Annotated[
    Annotated[FunctionCall, Tag("@function")] | Annotated[CustomCall, Tag("@custom")],
    discriminated_by("type", "function", "custom", default="function"),
]


class PlainMessage(OpenAIModel):
    """Message of the developer or the system."""

    content: PlainContent
    name: str | None = None


class UserMessage(OpenAIModel):
    """Message of the user."""

    content: UserContent
    name: str | None = None


_CONTENT_FIELDS = ("content", "refusal", "tool_calls", "function_call", "audio")
"""Fields of which an assistant's message needs at least one."""
_ONE_REQUIRED: dict[str, JsonValue] = {
    "anyOf": [{"required": [name], "properties": {name: {"not": {"type": "null"}}}} for name in _CONTENT_FIELDS]
}


class AssistantMessage(OpenAIModel):
    """Earlier message of the model."""

    model_config = ConfigDict(json_schema_extra=_ONE_REQUIRED)

    content: AssistantContent | None = None
    name: str | None = None
    refusal: str | None = None
    tool_calls: Annotated[list[ToolCall], Field(min_length=1, fail_fast=True)] | None = None
    function_call: CalledFunction | None = None
    audio: dict[str, object] | None = None

    @model_validator(mode="after")
    def _says_something(self) -> AssistantMessage:
        if all(getattr(self, name) is None for name in _CONTENT_FIELDS):
            raise PydanticCustomError(TAGGED + "content", "is missing: only a message with tool_calls may have none")
        return self


class ToolMessage(OpenAIModel):
    """Result of a tool call."""

    content: PlainContent
    tool_call_id: str


class FunctionMessage(OpenAIModel):
    """Result of a function call, in the format before tools."""

    content: str | None
    name: str


Message = Annotated[
    Annotated[PlainMessage, Tag("@developer")]
    | Annotated[PlainMessage, Tag("@system")]
    | Annotated[UserMessage, Tag("@user")]
    | Annotated[AssistantMessage, Tag("@assistant")]
    | Annotated[ToolMessage, Tag("@tool")]
    | Annotated[FunctionMessage, Tag("@function")],
    discriminated_by("role", "developer", "system", "user", "assistant", "tool", "function"),
]
