"""Suggestions of a known setting for an unknown one."""

from __future__ import annotations

import difflib
import types
import typing
from collections.abc import Sequence
from typing import Annotated, Any

from pydantic import BaseModel

from connectors.providers import KINDS, kind_of
from connectors.providers.settings import ProviderSettings
from streams.config.settings import Settings


def suggest(path: Sequence[int | str], content: object) -> str:
    """Return the known name that is most similar to the last step of the path; empty if none is similar.

    Args:
        path: path of the unknown name in the file.
        content: content of the file, because a provider's settings depend on its kind.

    """
    *sections, name = path
    type_: Any = Settings
    for step in sections:
        content = _value_at(content, step)
        type_ = _settings_of_kind(_field_type(type_, step), content)
    known = tuple(type_.model_fields) if _is_section(type_) else ()
    return next(iter(difflib.get_close_matches(str(name), known, n=1)), "")


def _value_at(content: object, step: int | str) -> object:
    if isinstance(content, dict):
        return content.get(step)
    return content[step] if isinstance(content, list) and isinstance(step, int) else None


def _field_type(type_: Any, step: int | str) -> Any:  # noqa: ANN401 - a type, in any of the forms that typing has
    """Return the type of a field, or of the values of a mapping or a list."""
    if _is_section(type_):
        field = type_.model_fields.get(step)
        return _bare_type(field.annotation) if field else None
    parts = typing.get_args(type_)
    return _bare_type(parts[1 if typing.get_origin(type_) is dict else 0]) if parts else None


def _bare_type(type_: Any) -> Any:  # noqa: ANN401 - the same
    """Return the type without annotations and without None."""
    if typing.get_origin(type_) is Annotated:
        return _bare_type(typing.get_args(type_)[0])
    if typing.get_origin(type_) in (typing.Union, types.UnionType):
        return _bare_type(typing.get_args(type_)[0])
    return type_


def _settings_of_kind(type_: Any, content: object) -> Any:  # noqa: ANN401 - the same
    kind = kind_of(content) if type_ is ProviderSettings else None
    return KINDS[kind].Settings if kind else type_


def _is_section(type_: Any) -> bool:  # noqa: ANN401 - the same
    return isinstance(type_, type) and issubclass(type_, BaseModel)
