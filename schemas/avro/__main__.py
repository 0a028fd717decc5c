"""Write the Avro schemas that the event classes describe, or check that the committed ones are the same."""

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
    """The Avro type of a type hint; a record is written out where it is first seen, then named."""
    if hint in _PRIMITIVES:
        return _PRIMITIVES[hint]
    origin, arguments = get_origin(hint), get_args(hint)
    if origin is Annotated:
        return {"type": avro_type(arguments[0], seen), "logicalType": arguments[1]}
    if origin in (Union, UnionType):
        (inner,) = (argument for argument in arguments if argument is not NoneType)
        return ["null", avro_type(inner, seen)]
    if origin is Literal:
        return "string"  # a value added to an Avro enum is unreadable to those who have the old one
    if origin is tuple:
        return {"type": "array", "items": avro_type(arguments[0], seen)}
    if origin is dict:
        return {"type": "map", "values": avro_type(arguments[1], seen)}
    return record(hint, seen)


def field(name: str, hint: Any, info: Field[Any], seen: set[str]) -> dict[str, Any]:  # noqa: ANN401 - a type hint
    """One field, with its default if it has one."""
    made: dict[str, Any] = {"name": name, "type": avro_type(hint, seen)}
    default = info.default if info.default_factory is MISSING else info.default_factory()
    if default is not MISSING:
        made["default"] = _jsonable(default)
    return made


def _jsonable(default: Any) -> Any:  # noqa: ANN401 - any default
    if isinstance(default, Part):
        return asdict(default)
    return list(default) if isinstance(default, tuple) else default


def record(model: type[Part], seen: set[str]) -> Any:  # noqa: ANN401 - a JSON tree
    """The record of a class, with its first docstring sentence."""
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
    """The .avsc file of an event."""
    return json.dumps(record(event, set()), indent=2, ensure_ascii=False) + "\n"


def main(arguments: list[str]) -> int:
    """Write what differs, or with --check only say so."""
    drifted = []
    for event in EVENTS:
        path = FOLDER / f"{event.__name__}.v{event.version}.avsc"
        if not path.exists() or path.read_text("utf-8") != text(event):
            drifted.append(path.name)
            if "--check" not in arguments:
                path.write_text(text(event), "utf-8")
    done = "differ from the event classes (run `make schemas`)" if "--check" in arguments else "written"
    said = f"{', '.join(drifted)} {done}" if drifted else "in step with the event classes"
    sys.stdout.write(f"schemas: {said}\n")
    return 1 if drifted and "--check" in arguments else 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
