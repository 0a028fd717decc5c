"""Generator of readers: Avro bytes directly to events."""

from __future__ import annotations

import itertools
import struct
from collections.abc import Callable, Iterator
from typing import Any, Literal, get_args, get_origin, get_type_hints

from schemas.avro.compiled.parts import INTERNED, LOW_7_BITS, Schema, intern_functions
from schemas.codegen.compile import compile_function, indent
from schemas.events import catalog, parts
from schemas.events.catalog import Event

_MAX_CONTINUATION_BYTES = 9
"""Most bytes of a varint after the first: ten bytes hold 64 bits."""


def compile_reader(schema: Schema) -> Callable[[bytes, int], tuple[Event, int]]:
    """Return a function that reads an event from an offset on, and returns it with the offset of its end.

    That end may exceed the length of the bytes, which the caller must check. The function raises IndexError, ValueError
    or struct.error if the bytes do not fit the schema.
    """
    names: dict[str, Any] = {
        "varint": _read_varint,
        "new": object.__new__,
        "double": struct.Struct("<d").unpack_from,
        **intern_functions(),
    }
    lines = ["def read(data, at):"]
    lines += [f"    {line}" for line in _value_lines(schema, "event", itertools.count(), names)]
    lines.append("    return event, at")
    read: Callable[[bytes, int], tuple[Event, int]] = compile_function("read", lines, names)
    return read


_OVERLONG_NUMBER = "a number with more bytes than it needs"
"""No Avro writer pads numbers. Sluice passes bytes on as written, and stricter readers may reject such a number."""
_TIMESTAMP_BYTES = 6
"""Varint bytes of a time in milliseconds, in this century and long before and after it."""
_MAX_CACHED_TIMESTAMPS = 8192
_cached_timestamps: dict[bytes, int] = {}
"""Recently read numbers of this length, by their bytes: the times of a request recur in each of its events.

A plain dict that is cleared when full, because this is the hot path."""


def _read_varint(data: bytes, at: int) -> tuple[int, int]:
    """Return the varint of two bytes or more whose first byte is before this offset, and the offset of its end."""
    byte = data[at]
    if byte <= LOW_7_BITS:
        if not byte:
            raise ValueError(_OVERLONG_NUMBER)
        return byte << 7 | data[at - 1] & LOW_7_BITS, at + 1
    time = _cached_timestamps.get(data[at - 1 : at - 1 + _TIMESTAMP_BYTES])
    if time is not None:
        return time, at - 1 + _TIMESTAMP_BYTES
    return _number(data, at)


def _number(data: bytes, at: int) -> tuple[int, int]:
    """Return the same, read byte by byte."""
    begin = at - 1
    while data[at] > LOW_7_BITS:
        at += 1
        if at - begin > _MAX_CONTINUATION_BYTES:  # a record may contain a megabyte of continuation bytes
            raise ValueError("a number of more than 64 bits")
    if not data[at]:
        raise ValueError(_OVERLONG_NUMBER)
    number = 0
    for byte in reversed(data[begin : at + 1]):
        number = number << 7 | byte & LOW_7_BITS
    if number >> 64:
        raise ValueError("a number of more than 64 bits")
    if at + 1 - begin == _TIMESTAMP_BYTES:
        if len(_cached_timestamps) >= _MAX_CACHED_TIMESTAMPS:
            _cached_timestamps.clear()
        _cached_timestamps[data[begin : at + 1]] = number
    return number, at + 1


_READ_NUMBER = ("n = data[at]; at += 1", "if n > 127: n, at = varint(data, at)")
"""Lines that read a varint into ``n``. Most values are below 128."""


def _value_lines(
    schema: Schema, into: str, serial: Iterator[int], names: dict[str, Any], allowed: frozenset[str] | None = None
) -> Iterator[str]:
    """Yield the lines that read a value of this schema into a variable."""
    kind = schema if isinstance(schema, str) else "union" if isinstance(schema, list) else schema["type"]
    if kind == "record":
        yield from _record_lines(schema, into, serial, names)
    elif kind == "union":
        yield "n = data[at]; at += 1"
        yield f"if n == 0: {into} = None"
        yield "elif n == 2:"
        yield from indent(_value_lines(schema[1], into, serial, names, allowed))
        yield "else: raise ValueError('unknown branch of a union')"
    elif kind in {"array", "map"}:
        yield from _collection_lines(kind, schema, into, serial, names)
    elif kind in {"string", "bytes"}:
        yield from _READ_NUMBER
        yield "if n & 1: raise ValueError('a negative length')"
        yield "n = at + (n >> 1)"
        yield f"{into} = data[at:n]" + (".decode()" if kind == "string" else "")
        yield "at = n"
        if allowed is not None:
            names[f"{into}_allowed"] = allowed
            yield f"if {into} not in {into}_allowed: raise ValueError('an unknown value of an enumeration')"
    elif kind == "long":
        yield from _READ_NUMBER
        yield f"{into} = (n >> 1) ^ -(n & 1)"
    elif kind == "double":
        yield f"{into} = double(data, at)[0]; at += 8"
    else:
        yield "n = data[at]; at += 1"
        yield "if n > 1: raise ValueError('a boolean that is neither 0 nor 1')"
        yield f"{into} = n == 1"


def _record_lines(schema: Schema, into: str, serial: Iterator[int], names: dict[str, Any]) -> Iterator[str]:
    kind = schema["name"]
    lines = _construct_lines(schema, into, serial, names)
    if kind not in INTERNED:
        yield from lines
        return
    yield f"entry = by_key_{kind}.get(data[at : at + {INTERNED[kind].key}])"
    yield "if entry is not None and data.startswith(entry[0], at):"
    yield f"    {into} = entry[1]; at += len(entry[0])"
    yield "else:"
    yield f"    {into}b = at"
    yield from indent(lines)
    yield f"    if at <= len(data): add_{kind}(data[{into}b:at], {into})"


def _construct_lines(schema: Schema, into: str, serial: Iterator[int], names: dict[str, Any]) -> Iterator[str]:
    model: type[parts.Part] = getattr(catalog, schema["name"], None) or getattr(parts, schema["name"])
    hints = get_type_hints(model)
    variables = {field["name"]: f"v{next(serial)}" for field in schema["fields"]}
    for field in schema["fields"]:
        hint = hints[field["name"]]
        allowed = frozenset(get_args(hint)) if get_origin(hint) is Literal else None
        yield from _value_lines(field["type"], variables[field["name"]], serial, names, allowed)
    names[schema["name"]] = model
    yield f"{into} = new({schema['name']})"
    yield "; ".join(f"{into}.{name} = {variable}" for name, variable in variables.items())


def _collection_lines(
    kind: str, schema: Schema, into: str, serial: Iterator[int], names: dict[str, Any]
) -> Iterator[str]:
    """Yield the lines that read blocks of items. Each block starts with its count; an empty block is the last."""
    one, left = f"v{next(serial)}", f"v{next(serial)}"
    yield f"{into} = {'{}' if kind == 'map' else '[]'}"
    yield "while True:"
    yield from indent(iter(_READ_NUMBER))
    yield "    if n == 0: break"
    yield f"    {left} = (n >> 1) ^ -(n & 1)"
    yield f"    {one}e = 0"
    yield f"    if {left} < 0:  # a negative count is followed by the block's size in bytes"
    yield f"        {left} = -{left}"
    yield from indent(iter(_READ_NUMBER), 2)
    yield f"        {one}e = at + (n >> 1)"
    yield f"    while {left}:"
    yield f"        {left} -= 1"
    if kind == "map":
        yield from indent(_value_lines("string", f"{one}k", serial, names), 2)
        yield from indent(_value_lines(schema["values"], one, serial, names), 2)
        yield f"        {into}[{one}k] = {one}"
    else:
        yield from indent(_value_lines(schema["items"], one, serial, names), 2)
        yield f"        {into}.append({one})"
    yield f"    if {one}e and {one}e != at: raise ValueError('a block whose size differs from its header')"
    if kind == "array":
        yield f"{into} = tuple({into})"
