"""Messages for pydantic's validation errors, without the value, which may be a secret or personal data."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from pydantic_core import ErrorDetails

WRONG_TYPE: Mapping[str, str] = {
    **dict.fromkeys(("string_type",), "must be text"),
    **dict.fromkeys(("int_type", "int_parsing", "int_from_float"), "must be a whole number"),
    **dict.fromkeys(("float_type", "float_parsing", "finite_number"), "must be a number"),
    **dict.fromkeys(("bool_type", "bool_parsing"), "must be true or false"),
    **dict.fromkeys(("list_type", "tuple_type"), "must be a list"),
    **dict.fromkeys(("dict_type", "model_type", "model_attributes_type"), "must be an object"),
    **dict.fromkeys(("uuid_type", "uuid_parsing"), "must be a UUID"),
    "path_type": "must be a path",
    "json_invalid": "is not valid JSON",
}
WRONG_VALUE: Mapping[str, str] = {
    "greater_than_equal": "must be at least {ge:g}",
    "greater_than": "must be above {gt:g}",
    "less_than_equal": "must be at most {le:g}",
    "less_than": "must be below {lt:g}",
    "string_too_short": "must not be empty",
    "too_short": "must not be empty",
    "string_too_long": "must be at most {max_length} characters long",
    "too_long": "must hold at most {max_length}",
    "literal_error": "must be {expected}",
    "string_pattern_mismatch": "must match {pattern}",
    "missing": "is missing",
    "extra_forbidden": "is not known here",
}


def describe(detail: ErrorDetails) -> str:
    """Return the predicate of a message whose subject is ``path_of``. Sluice's own validators write theirs."""
    kind = detail["type"]
    if kind in WRONG_TYPE:
        return WRONG_TYPE[kind]
    if kind in WRONG_VALUE:
        return WRONG_VALUE[kind].format(**detail.get("ctx", {}))
    return detail["msg"].removeprefix("Value error, ") if kind == "value_error" else "is not valid"


def path_of(detail: ErrorDetails) -> str:
    """Return the dotted path of the value at fault. If a key is invalid itself, the path ends with the key."""
    return ".".join(str(step) for step in detail["loc"] if step != "[key]")
