"""Generator of the Avro schemas from the event classes. With ``--check`` it compares the committed files only."""

from __future__ import annotations

import json
import sys
from dataclasses import MISSING, Field, asdict, fields
from pathlib import Path
from types import NoneType, UnionType
from typing import Annotated, Any, Literal, Union, get_args, get_origin, get_type_hints

from schemas.events.catalog import EVENTS, Event
from schemas.events.parts import Part

FOLDER = Path(__file__).parent
NAMESPACE = "sluice"
_PRIMITIVES: dict[Any, str] = {str: "string", bytes: "bytes", int: "long", float: "double", bool: "boolean"}


def avro_type(hint: Any, seen: set[str]) -> Any:  # noqa: ANN401 - type hints in, a JSON tree out
    """Return the Avro type of a type hint. A record is defined at its first use and named afterwards."""
    if hint in _PRIMITIVES:
        return _PRIMITIVES[hint]
    origin, arguments = get_origin(hint), get_args(hint)
    if origin is Annotated:
        return {"type": avro_type(arguments[0], seen), "logicalType": arguments[1]}
    if origin in (Union, UnionType):
        (inner,) = (argument for argument in arguments if argument is not NoneType)
        return ["null", avro_type(inner, seen)]
    if origin is Literal:
        return "string"  # a reader with an older Avro enum cannot read a value added to it
    if origin is tuple:
        return {"type": "array", "items": avro_type(arguments[0], seen)}
    if origin is dict:
        return {"type": "map", "values": avro_type(arguments[1], seen)}
    return record(hint, seen)


def field(name: str, hint: Any, info: Field[Any], seen: set[str]) -> dict[str, Any]:  # noqa: ANN401 - a type hint
    """Return the schema of a field, with its default if it has one."""
    schema: dict[str, Any] = {"name": name, "type": avro_type(hint, seen)}
    default = info.default if info.default_factory is MISSING else info.default_factory()
    if default is not MISSING:
        schema["default"] = _jsonable(default)
    return schema


def _jsonable(default: Any) -> Any:  # noqa: ANN401 - any default
    if isinstance(default, Part):
        return asdict(default)
    return list(default) if isinstance(default, tuple) else default


def record(model: type[Part], seen: set[str]) -> Any:  # noqa: ANN401 - a JSON tree
    """Return the record schema of a class. Its ``doc`` is the first line of the class's docstring."""
    if model.__name__ in seen:
        return f"{NAMESPACE}.{model.__name__}"
    seen.add(model.__name__)
    hints = get_type_hints(model, include_extras=True)
    return {
        "type": "record",
        "name": model.__name__,
        "namespace": NAMESPACE,
        "doc": (model.__doc__ or "").strip().split("\n")[0],
        "fields": [field(info.name, hints[info.name], info, seen) for info in fields(model)],
    }


def text(event: type[Event]) -> str:
    """Return the content of an event's .avsc file."""
    return json.dumps(record(event, set()), indent=2, ensure_ascii=False) + "\n"


def main(arguments: list[str]) -> int:
    """Write the files that differ. With --check, write nothing and return 1 if any file differs."""
    drifted = []
    for event in EVENTS:
        path = FOLDER / f"{event.__name__}.v{event.version}.avsc"
        if not path.exists() or path.read_text("utf-8") != text(event):
            drifted.append(path.name)
            if "--check" not in arguments:
                path.write_text(text(event), "utf-8")
    action = "differ from the event classes (run `make schemas`)" if "--check" in arguments else "written"
    summary = f"{', '.join(drifted)} {action}" if drifted else "in step with the event classes"
    sys.stdout.write(f"schemas: {summary}\n")
    return 1 if drifted and "--check" in arguments else 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
