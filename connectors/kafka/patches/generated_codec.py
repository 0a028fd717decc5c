"""Generated codec of Kafka's requests and responses: one function for each message, made from aiokafka's schemas.

aiokafka interprets its schemas field by field, with two to four calls for each number. A fetch response describes every
partition; with few records in it, decoding it was a sixth of a stage's CPU.
"""

from __future__ import annotations

import functools
import struct
from collections.abc import Callable, Iterator, Sequence
from io import BytesIO
from itertools import count
from typing import Any

from aiokafka.protocol import types
from aiokafka.protocol.struct import Struct

from schemas.codegen.compile import compile_function, indent

_FORMATS: dict[Any, str] = {
    types.Boolean: "?",
    types.Int8: "b",
    types.Int16: "h",
    types.Int32: "i",
    types.UInt32: "I",
    types.Int64: "q",
    types.Float64: "d",
}


def apply() -> None:
    """Make every client of this process use the generated functions."""
    Struct.encode = _encode
    Struct.decode = classmethod(_decode)


def _encode(message: Struct) -> bytes:
    values = message.__dict__
    return encoder(message.SCHEMA)([values[name] for name in message.SCHEMA.names])


def _decode(cls: type[Struct], data: BytesIO | bytes) -> Struct:
    return cls(*decoder(cls.SCHEMA)(BytesIO(data) if isinstance(data, bytes) else data))


@functools.cache
def encoder(schema: types.Schema) -> Callable[[Sequence[Any]], bytes]:
    """Return the function that encodes a message's values. It raises ValueError if they do not fit the schema."""
    encode: Callable[[Sequence[Any]], bytes] = _EncoderSource().function(schema)
    return encode


@functools.cache
def decoder(schema: types.Schema) -> Callable[[BytesIO], tuple[Any, ...]]:
    """Return the function that decodes a message's values. It raises ValueError if the bytes do not fit the schema."""
    decode: Callable[[BytesIO], tuple[Any, ...]] = _DecoderSource().function(schema)
    return decode


class _Source:
    """Source of one function. Adjacent numbers are packed in one call: they are pending until another field comes."""

    def __init__(self) -> None:
        self._names: dict[str, Any] = {"error": struct.error, "read_exactly": _read_exactly}
        self._new_names = (f"_{number}" for number in count())
        self._format = ""
        self._pending: list[str] = []

    def _add_pending(self, format_: str, expression: str) -> None:
        self._format += format_
        self._pending.append(expression)

    def _take_layout(self) -> struct.Struct:
        layout, self._format = struct.Struct(f">{self._format}"), ""
        return layout

    def _bind(self, value: object) -> str:
        name = next(self._new_names)
        self._names[name] = value
        return name

    def _compile(self, head: str, lines: list[str], last: str) -> Any:  # noqa: ANN401 - the generated function
        body = indent(iter((*lines, last)), 2)
        fault = "        raise ValueError(f'does not fit the schema: {fault}') from fault"
        return compile_function("function", [head, "    try:", *body, "    except error as fault:", fault], self._names)


class _EncoderSource(_Source):
    """Source of a function that encodes."""

    def function(self, schema: types.Schema) -> Any:  # noqa: ANN401 - as above
        lines = ["parts = []", "add = parts.append", *self._schema(schema, "item"), *self._flush()]
        return self._compile("def function(item):", lines, "return b''.join(parts)")

    def _schema(self, schema: types.Schema, item: str) -> Iterator[str]:
        yield f"if len({item}) != {len(schema.fields)}: raise ValueError('not as many values as fields')"
        for index, field in enumerate(schema.fields):
            yield from self._field(field, f"{item}[{index}]")

    def _field(self, field: Any, value: str) -> Iterator[str]:  # noqa: ANN401 - a class or an instance of aiokafka's
        name = next(self._new_names)
        if field in _FORMATS:
            self._add_pending(_FORMATS[field], value)
        elif type(field) is types.Schema:
            yield from self._schema(field, value)
        elif type(field) is types.String:
            yield f"{name} = {value}"
            yield f"if {name} is not None: {name} = str({name}).encode({field.encoding!r})"
            yield from self._length("h", name)
            yield f"if {name}: add({name})"
        elif field is types.Bytes:
            yield f"{name} = {value}"
            yield from self._length("i", name)
            yield f"if {name}: add({name})"
        elif type(field) is types.Array:
            each = next(self._new_names)
            yield f"{name} = {value}"
            yield from self._length("i", name)
            yield f"for {each} in {name} or ():"
            yield from indent(iter((*self._field(field.array_of, each), *self._flush())))
        else:
            yield from self._flush()
            yield f"add({self._bind(field.encode)}({value}))"

    def _length(self, format_: str, name: str) -> Iterator[str]:
        self._add_pending(format_, f"-1 if {name} is None else len({name})")
        yield from self._flush()

    def _flush(self) -> Iterator[str]:
        if self._pending:
            yield f"add({self._bind(self._take_layout().pack)}({', '.join(self._pending)}))"
            self._pending.clear()


class _DecoderSource(_Source):
    """Source of a function that decodes."""

    def function(self, schema: types.Schema) -> Any:  # noqa: ANN401 - as above
        lines: list[str] = ["read = data.read"]
        result = self._schema(schema, lines)
        lines += self._flush()
        return self._compile("def function(data):", lines, f"return {result}")

    def _schema(self, schema: types.Schema, lines: list[str]) -> str:
        """Add the lines that read a schema; return the expression of its values as a tuple."""
        return f"({''.join(f'{self._field(field, lines)}, ' for field in schema.fields)})"

    def _field(self, field: Any, lines: list[str]) -> str:  # noqa: ANN401 - as above
        if type(field) is types.Schema:
            return self._schema(field, lines)
        name = next(self._new_names)
        if field in _FORMATS:
            self._add_pending(_FORMATS[field], name)
        elif type(field) is types.String:
            lines += self._length("h", name)
            lines.append(f"{name} = None if {name} < 0 else read_exactly(read, {name}).decode({field.encoding!r})")
        elif field is types.Bytes:
            lines += self._length("i", name)
            lines.append(f"{name} = None if {name} < 0 else read_exactly(read, {name})")
        elif type(field) is types.Array:
            length, each = next(self._new_names), list[str]()
            lines += self._length("i", length)
            item = self._field(field.array_of, each)
            each += (*self._flush(), f"{name}.append({item})")
            lines += (f"{name} = None if {length} == -1 else []", f"for {next(self._new_names)} in range({length}):")
            lines += indent(iter(each))
        else:
            lines += (*self._flush(), f"{name} = {self._bind(field.decode)}(data)")
        return name

    def _length(self, format_: str, name: str) -> Iterator[str]:
        self._add_pending(format_, name)
        yield from self._flush()

    def _flush(self) -> Iterator[str]:
        if self._pending:
            layout = self._take_layout()
            yield f"{', '.join(self._pending)}, = {self._bind(layout.unpack)}(read({layout.size}))"
            self._pending.clear()


def _read_exactly(read: Callable[[int], bytes], size: int) -> bytes:
    data = read(size)
    if len(data) != size:
        raise ValueError(f"{len(data)} bytes where {size} should be")
    return data
