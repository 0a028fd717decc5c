"""Which name was probably meant by one that the configuration does not know."""

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


def suggest(place: Sequence[int | str], content: object) -> str:
    """The known name that is nearest to the last of these steps; empty if none is near.

    Args:
        place: where the unknown name stands, from the top.
        content: of the file, since a provider's names depend on its kind.

    """
    *sections, name = place
    shape: Any = Settings
    for step in sections:
        content = _part(content, step)
        shape = _of_kind(_inside(shape, step), content)
    known = tuple(shape.model_fields) if _is_section(shape) else ()
    return next(iter(difflib.get_close_matches(str(name), known, n=1)), "")


def _part(content: object, step: int | str) -> object:
    if isinstance(content, dict):
        return content.get(step)
    return content[step] if isinstance(content, list) and isinstance(step, int) else None


def _inside(shape: Any, step: int | str) -> Any:  # noqa: ANN401 - a type, in any of the forms that typing has
    """The type of what stands in a section under this name, or in a mapping or a list at this place."""
    if _is_section(shape):
        field = shape.model_fields.get(step)
        return _plain(field.annotation) if field else None
    parts = typing.get_args(shape)
    return _plain(parts[1 if typing.get_origin(shape) is dict else 0]) if parts else None


def _plain(shape: Any) -> Any:  # noqa: ANN401 - the same
    """The type without what is said beside it, and without the None that it may be."""
    if typing.get_origin(shape) is Annotated:
        return _plain(typing.get_args(shape)[0])
    if typing.get_origin(shape) in (typing.Union, types.UnionType):
        return _plain(typing.get_args(shape)[0])
    return shape


def _of_kind(shape: Any, content: object) -> Any:  # noqa: ANN401 - the same
    kind = kind_of(content) if shape is ProviderSettings else None
    return KINDS[kind].Settings if kind else shape


def _is_section(shape: Any) -> bool:  # noqa: ANN401 - the same
    return isinstance(shape, type) and issubclass(shape, BaseModel)
