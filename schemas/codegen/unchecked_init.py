"""Events that are put together of what was checked when it came in: their fields are set, and not checked again.

A type checker sees no difference. What comes from outside goes through ``model_validate``, which checks.
"""

from __future__ import annotations

from typing import TypeVar

from pydantic import BaseModel

from schemas.codegen.compile import SETTERS, compile_function

C = TypeVar("C", bound=BaseModel)


def unchecked_init(cls: type[C]) -> type[C]:
    """Give a class a constructor that believes what it is given: by name, all that has no default, and no more."""
    fields = cls.model_fields
    defaults = {f"{name}_otherwise": field.default for name, field in fields.items() if not field.is_required()}
    parameters = ", ".join(f"{name}={name}_otherwise" if f"{name}_otherwise" in defaults else name for name in fields)
    lines = [
        f"def __init__(self, *, {parameters}):",
        f"    set_dict(self, {{{', '.join(f'{name!r}: {name}' for name in fields)}}})",
        "    set_pydantic_fields_set(self, fields)",
        "    set_pydantic_extra(self, None); set_pydantic_private(self, None)",
    ]
    cls.__init__ = compile_function("__init__", lines, {"fields": set(fields), **SETTERS, **defaults})  # type: ignore[method-assign]
    return cls
