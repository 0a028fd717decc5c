"""Kafka's requests and responses, written and read by one function for each shape, made of aiokafka's description.

aiokafka goes through its descriptions field by field, at two to four calls for each number. A fetch tells of every
partition, and with few records in it that was a sixth of what a stage cost.
"""

from __future__ import annotations

import functools
import struct
from collections.abc import Callable, Iterator, Sequence
from io import BytesIO
from itertools import count
from typing import Any

from aiokafka.protocol import types as kinds
from aiokafka.protocol.struct import Struct

from schemas.codegen.compile import compile_function, indent

_FORMATS: dict[Any, str] = {
    kinds.Boolean: "?",
    kinds.Int8: "b",
    kinds.Int16: "h",
    kinds.Int32: "i",
    kinds.UInt32: "I",
    kinds.Int64: "q",
    kinds.Float64: "d",
}


def apply() -> None:
    """Make every client of this process do so. Twice is as good as once."""
    Struct.encode = _encode
    Struct.decode = classmethod(_decode)


def _encode(message: Struct) -> bytes:
    told = message.__dict__
    return writer(message.SCHEMA)([told[name] for name in message.SCHEMA.names])


def _decode(cls: type[Struct], data: BytesIO | bytes) -> Struct:
    return cls(*reader(cls.SCHEMA)(BytesIO(data) if isinstance(data, bytes) else data))


@functools.cache
def writer(shape: kinds.Schema) -> Callable[[Sequence[Any]], bytes]:
    """Make what turns the values of such a message into bytes. It raises ValueError if they don't fit."""
    write: Callable[[Sequence[Any]], bytes] = _Writer().function(shape)
    return write


@functools.cache
def reader(shape: kinds.Schema) -> Callable[[BytesIO], tuple[Any, ...]]:
    """Make what reads the values of such a message. It raises ValueError if the bytes are none."""
    read: Callable[[BytesIO], tuple[Any, ...]] = _Reader().function(shape)
    return read


class _Lines:
    """Numbers that stand side by side are one call: they are held until something of no fixed length comes."""

    def __init__(self) -> None:
        self._names: dict[str, Any] = {"error": struct.error, "taken": _taken}
        self._fresh = (f"_{number}" for number in count())
        self._format = ""
        self._held: list[str] = []

    def _hold(self, format_: str, what: str) -> None:
        self._format += format_
        self._held.append(what)

    def _layout(self) -> struct.Struct:
        layout, self._format = struct.Struct(f">{self._format}"), ""
        return layout

    def _named(self, value: object) -> str:
        name = next(self._fresh)
        self._names[name] = value
        return name

    def _made(self, head: str, lines: list[str], last: str) -> Any:  # noqa: ANN401 - the function that it says
        body = indent(iter((*lines, last)), 2)
        fault = "        raise ValueError(f'not of this shape: {fault}') from fault"
        return compile_function("function", [head, "    try:", *body, "    except error as fault:", fault], self._names)


class _Writer(_Lines):
    """Writes the lines of a function that writes."""

    def function(self, shape: kinds.Schema) -> Any:  # noqa: ANN401 - as above
        lines = ["parts = []", "add = parts.append", *self._shape(shape, "item"), *self._held_back()]
        return self._made("def function(item):", lines, "return b''.join(parts)")

    def _shape(self, shape: kinds.Schema, item: str) -> Iterator[str]:
        yield f"if len({item}) != {len(shape.fields)}: raise ValueError('not as many values as fields')"
        for place, field in enumerate(shape.fields):
            yield from self._field(field, f"{item}[{place}]")

    def _field(self, field: Any, value: str) -> Iterator[str]:  # noqa: ANN401 - a class or an instance of aiokafka's
        name = next(self._fresh)
        if field in _FORMATS:
            self._hold(_FORMATS[field], value)
        elif type(field) is kinds.Schema:
            yield from self._shape(field, value)
        elif type(field) is kinds.String:
            yield f"{name} = {value}"
            yield f"if {name} is not None: {name} = str({name}).encode({field.encoding!r})"
            yield from self._sized("h", name)
            yield f"if {name}: add({name})"
        elif field is kinds.Bytes:
            yield f"{name} = {value}"
            yield from self._sized("i", name)
            yield f"if {name}: add({name})"
        elif type(field) is kinds.Array:
            each = next(self._fresh)
            yield f"{name} = {value}"
            yield from self._sized("i", name)
            yield f"for {each} in {name} or ():"
            yield from indent(iter((*self._field(field.array_of, each), *self._held_back())))
        else:
            yield from self._held_back()
            yield f"add({self._named(field.encode)}({value}))"

    def _sized(self, format_: str, name: str) -> Iterator[str]:
        self._hold(format_, f"-1 if {name} is None else len({name})")
        yield from self._held_back()

    def _held_back(self) -> Iterator[str]:
        if self._held:
            yield f"add({self._named(self._layout().pack)}({', '.join(self._held)}))"
            self._held.clear()


class _Reader(_Lines):
    """Writes the lines of a function that reads."""

    def function(self, shape: kinds.Schema) -> Any:  # noqa: ANN401 - as above
        lines: list[str] = ["read = data.read"]
        found = self._shape(shape, lines)
        lines += self._held_back()
        return self._made("def function(data):", lines, f"return {found}")

    def _shape(self, shape: kinds.Schema, lines: list[str]) -> str:
        """Read what stands in a shape; what is left behind is how its values are called together."""
        return f"({''.join(f'{self._field(field, lines)}, ' for field in shape.fields)})"

    def _field(self, field: Any, lines: list[str]) -> str:  # noqa: ANN401 - as above
        if type(field) is kinds.Schema:
            return self._shape(field, lines)
        name = next(self._fresh)
        if field in _FORMATS:
            self._hold(_FORMATS[field], name)
        elif type(field) is kinds.String:
            lines += self._sized("h", name)
            lines.append(f"{name} = None if {name} < 0 else taken(read, {name}).decode({field.encoding!r})")
        elif field is kinds.Bytes:
            lines += self._sized("i", name)
            lines.append(f"{name} = None if {name} < 0 else taken(read, {name})")
        elif type(field) is kinds.Array:
            size, each = next(self._fresh), list[str]()
            lines += self._sized("i", size)
            found = self._field(field.array_of, each)
            each += (*self._held_back(), f"{name}.append({found})")
            lines += (f"{name} = None if {size} == -1 else []", f"for {next(self._fresh)} in range({size}):")
            lines += indent(iter(each))
        else:
            lines += (*self._held_back(), f"{name} = {self._named(field.decode)}(data)")
        return name

    def _sized(self, format_: str, name: str) -> Iterator[str]:
        self._hold(format_, name)
        yield from self._held_back()

    def _held_back(self) -> Iterator[str]:
        if self._held:
            layout = self._layout()
            yield f"{', '.join(self._held)}, = {self._named(layout.unpack)}(read({layout.size}))"
            self._held.clear()


def _taken(read: Callable[[int], bytes], size: int) -> bytes:
    data = read(size)
    if len(data) != size:
        raise ValueError(f"{len(data)} bytes where {size} should be")
    return data
