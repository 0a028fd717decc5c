"""Avro to events, straight."""

from __future__ import annotations

import itertools
import struct
from collections.abc import Callable, Iterator
from typing import Any, Literal, get_args, get_origin, get_type_hints

from schemas.avro.compiled.parts import RECURRING, SEVEN, Schema, recurring
from schemas.codegen.compile import SETTERS, indented, made
from schemas.events import catalog, parts
from schemas.events.catalog import Event

_LONGEST = 9
"""Of the bytes that follow the first: ten hold 64 bits."""


def reader(schema: Schema) -> Callable[[bytes, int], tuple[Event, int]]:
    """A function that reads an event from a place on, and says where it ended: maybe behind the end of the bytes.

    It raises IndexError, ValueError or struct.error where the bytes are none of this schema.
    """
    names: dict[str, Any] = {
        "varint": _varint,
        "new": object.__new__,
        **SETTERS,  # not validated, since the schema has said what may be there
        "double": struct.Struct("<d").unpack_from,
        **recurring(),
    }
    lines = ["def read(data, at):"]
    lines += [f"    {line}" for line in _read(schema, "event", itertools.count(), names)]
    lines.append("    return event, at")
    read: Callable[[bytes, int], tuple[Event, int]] = made("read", lines, names)
    return read


_LONGER = "a number that is written longer than it is"
"""No writer of Avro does so. What is read goes on as it was written, to readers that may take less than we do."""
_TIME = 6
"""Bytes of a point in time in milliseconds, this century and long before and after."""
_MOST_TIMES = 8192
_times: dict[bytes, int] = {}
"""Numbers of so many bytes, read lately: a request's times come again in each of its events."""


def _varint(data: bytes, at: int) -> tuple[int, int]:
    """The unsigned number of two bytes or more that begins before this place, and where it ends."""
    byte = data[at]
    if byte <= SEVEN:
        if not byte:
            raise ValueError(_LONGER)
        return byte << 7 | data[at - 1] & SEVEN, at + 1
    time = _times.get(data[at - 1 : at - 1 + _TIME])
    if time is not None:
        return time, at - 1 + _TIME
    return _number(data, at)


def _number(data: bytes, at: int) -> tuple[int, int]:
    """The same, byte by byte."""
    begin = at - 1
    while data[at] > SEVEN:
        at += 1
        if at - begin > _LONGEST:  # anybody may write a megabyte of them
            raise ValueError("a number of more than 64 bits")
    if not data[at]:
        raise ValueError(_LONGER)
    number = 0
    for byte in reversed(data[begin : at + 1]):
        number = number << 7 | byte & SEVEN
    if number >> 64:
        raise ValueError("a number of more than 64 bits")
    if at + 1 - begin == _TIME:
        if len(_times) >= _MOST_TIMES:
            _times.clear()
        _times[data[begin : at + 1]] = number
    return number, at + 1


_NUMBER = ("n = data[at]; at += 1", "if n > 127: n, at = varint(data, at)")
"""The lines that read an unsigned number into ``n``; most are below 128."""


def _read(
    schema: Schema, into: str, serial: Iterator[int], names: dict[str, Any], literal: frozenset[str] | None = None
) -> Iterator[str]:
    """The lines that read such a value into a variable."""
    kind = schema if isinstance(schema, str) else "union" if isinstance(schema, list) else schema["type"]
    if kind == "record":
        yield from _record_read(schema, into, serial, names)
    elif kind == "union":
        yield "n = data[at]; at += 1"
        yield f"if n == 0: {into} = None"
        yield "elif n == 2:"
        yield from indented(_read(schema[1], into, serial, names, literal))
        yield "else: raise ValueError('no such branch')"
    elif kind in {"array", "map"}:
        yield from _many(kind, schema, into, serial, names)
    elif kind in {"string", "bytes"}:
        yield from _NUMBER
        yield "if n & 1: raise ValueError('a negative length')"
        yield "n = at + (n >> 1)"
        yield f"{into} = data[at:n]" + (".decode()" if kind == "string" else "")
        yield "at = n"
        if literal is not None:
            names[f"{into}_known"] = literal
            yield f"if {into} not in {into}_known: raise ValueError('an unknown word')"
    elif kind == "long":
        yield from _NUMBER
        yield f"{into} = (n >> 1) ^ -(n & 1)"
    elif kind == "double":
        yield f"{into} = double(data, at)[0]; at += 8"
    else:
        yield "n = data[at]; at += 1"
        yield "if n > 1: raise ValueError('neither true nor false')"
        yield f"{into} = n == 1"


def _record_read(schema: Schema, into: str, serial: Iterator[int], names: dict[str, Any]) -> Iterator[str]:
    kind = schema["name"]
    lines = _record(schema, into, serial, names)
    if kind not in RECURRING:
        yield from lines
        return
    yield f"known = by_key_{kind}.get(data[at : at + {RECURRING[kind].key}])"
    yield "if known is not None and data.startswith(known[0], at):"
    yield f"    {into} = known[1]; at += len(known[0])"
    yield "else:"
    yield f"    {into}b = at"
    yield from indented(lines)
    yield f"    if at <= len(data): keep_{kind}(data[{into}b:at], {into})"


def _record(schema: Schema, into: str, serial: Iterator[int], names: dict[str, Any]) -> Iterator[str]:
    model: type[parts.Part] = getattr(catalog, schema["name"], None) or getattr(parts, schema["name"])
    hints = get_type_hints(model)
    places = {field["name"]: f"v{next(serial)}" for field in schema["fields"]}
    for field in schema["fields"]:
        hint = hints[field["name"]]
        known = frozenset(get_args(hint)) if get_origin(hint) is Literal else None
        yield from _read(field["type"], places[field["name"]], serial, names, known)
    names[schema["name"]] = model
    names[f"{schema['name']}_fields"] = set(places)
    yield f"{into} = new({schema['name']})"
    yield f"set_dict({into}, {{{', '.join(f'{name!r}: {place}' for name, place in places.items())}}})"
    yield f"set_pydantic_fields_set({into}, {schema['name']}_fields)"
    yield f"set_pydantic_extra({into}, None); set_pydantic_private({into}, None)"


def _many(kind: str, schema: Schema, into: str, serial: Iterator[int], names: dict[str, Any]) -> Iterator[str]:
    """Blocks of items, each block with its length, the last one empty."""
    one, left = f"v{next(serial)}", f"v{next(serial)}"
    yield f"{into} = {'{}' if kind == 'map' else '[]'}"
    yield "while True:"
    yield from indented(iter(_NUMBER))
    yield "    if n == 0: break"
    yield f"    {left} = (n >> 1) ^ -(n & 1)"
    yield f"    {one}e = 0"
    yield f"    if {left} < 0:  # then the block's size in bytes comes first"
    yield f"        {left} = -{left}"
    yield from indented(iter(_NUMBER), 2)
    yield f"        {one}e = at + (n >> 1)"
    yield f"    while {left}:"
    yield f"        {left} -= 1"
    if kind == "map":
        yield from indented(_read("string", f"{one}k", serial, names), 2)
        yield from indented(_read(schema["values"], one, serial, names), 2)
        yield f"        {into}[{one}k] = {one}"
    else:
        yield from indented(_read(schema["items"], one, serial, names), 2)
        yield f"        {into}.append({one})"
    yield f"    if {one}e and {one}e != at: raise ValueError('a block that is not as long as it says')"
    if kind == "array":
        yield f"{into} = tuple({into})"
