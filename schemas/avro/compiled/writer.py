"""Generator of writers: events directly to Avro bytes."""

from __future__ import annotations

import functools
import itertools
import struct
from collections.abc import Callable, Iterator

from schemas.avro.compiled.parts import INTERNED, LOW_7_BITS, Schema, intern_functions
from schemas.codegen.compile import compile_function, indent
from schemas.events.catalog import Event


def compile_writer(schema: Schema) -> Callable[[Event], bytes]:
    """Return a function that returns an event's Avro bytes."""
    lines = ["def write(event):", "    parts = []", "    out = parts.append"]
    lines += [f"    {line}" for line in _value_lines(schema, "event", itertools.count())]
    lines.append("    return join(parts)")
    names = {"join": b"".join, "length": _encode_long, "double": struct.Struct("<d").pack, **intern_functions()}
    write: Callable[[Event], bytes] = compile_function("write", lines, names)
    return write


@functools.lru_cache(maxsize=8192)
def _encode_long(number: int) -> bytes:
    """Encode an Avro long: zigzag, seven bits per byte. Cached, because the same numbers recur."""
    rest = (number << 1) ^ (number >> 63)
    data = bytearray()
    while rest > LOW_7_BITS:
        data.append(rest & LOW_7_BITS | 0x80)
        rest >>= 7
    data.append(rest)
    return bytes(data)


def _value_lines(schema: Schema, value: str, serial: Iterator[int]) -> Iterator[str]:
    """Yield the lines that write the value of this expression."""
    kind = schema if isinstance(schema, str) else "union" if isinstance(schema, list) else schema["type"]
    name = f"v{next(serial)}"
    if kind == "record":
        yield from _record_lines(schema, value, name, serial)
    elif kind == "union":
        yield f"{name} = {value}"
        yield f"if {name} is None: out(b'\\0')"
        yield "else:"
        yield "    out(b'\\2')"
        yield from indent(_value_lines(schema[1], name, serial))
    elif kind in {"array", "map"}:
        yield f"{name} = {value}"
        yield f"if {name}:"
        yield f"    out(length(len({name})))"
        yield f"    for {name}k in {name}:"
        if kind == "map":
            yield from indent(_value_lines("string", f"{name}k", serial), 2)
            yield from indent(_value_lines(schema["values"], f"{name}[{name}k]", serial), 2)
        else:
            yield from indent(_value_lines(schema["items"], f"{name}k", serial), 2)
        yield "out(b'\\0')"
    elif kind in {"string", "bytes"}:
        yield f"{name} = {value}.encode()" if kind == "string" else f"{name} = {value}"
        yield f"out(length(len({name})))"
        yield f"out({name})"
    else:
        yield {
            "long": f"out(length({value}))",
            "double": f"out(double({value}))",
            "boolean": f"out(b'\\1' if {value} else b'\\0')",
        }[kind]


def _record_lines(schema: Schema, value: str, name: str, serial: Iterator[int]) -> Iterator[str]:
    kind = schema["name"]
    fields = [f"{name} = {value}"]
    for field in schema["fields"]:
        fields += _value_lines(field["type"], f"{name}.{field['name']}", serial)
    if kind not in INTERNED:
        yield from fields
        return
    yield f"{name}o = {value}"
    yield f"entry = by_id_{kind}.get(id({name}o))"
    yield f"if entry is not None and entry[0] is {name}o: out(entry[1])"
    yield "else:"
    yield f"    {name}b = len(parts)"
    yield from indent(iter(fields))
    yield f"    add_{kind}(join(parts[{name}b:]), {name}o)"
