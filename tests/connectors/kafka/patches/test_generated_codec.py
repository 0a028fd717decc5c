"""Against aiokafka's own way through its descriptions, for every message that it knows."""

from __future__ import annotations

import importlib
import pkgutil
import random
from io import BytesIO
from typing import Any

import pytest
from aiokafka import protocol
from aiokafka.protocol import types as kinds
from aiokafka.protocol.fetch import FetchResponse_v11
from aiokafka.protocol.struct import Struct

from connectors.kafka.patches import generated_codec as compiled_messages
from connectors.kafka.patches.generated_codec import reader, writer


def messages() -> list[type[Struct]]:
    for module in pkgutil.iter_modules(protocol.__path__):
        importlib.import_module(f"aiokafka.protocol.{module.name}")
    found: list[type[Struct]] = []
    ahead = [Struct]
    while ahead:
        shape = ahead.pop()
        found.append(shape)
        ahead += shape.__subclasses__()
    return found


NUMBERS: dict[Any, tuple[int, int]] = {
    kinds.Boolean: (0, 2),
    kinds.Int8: (-(2**7), 2**7),
    kinds.Int16: (-(2**15), 2**15),
    kinds.Int32: (-(2**31), 2**31),
    kinds.UInt32: (0, 2**32),
    kinds.Int64: (-(2**63), 2**63),
    kinds.UnsignedVarInt32: (0, 2**28),
    kinds.VarInt32: (0, 1000),
    kinds.VarInt64: (0, 1000),
}


def some(field: Any, draw: random.Random) -> Any:
    """Any value that may stand there, None among them."""
    if field in NUMBERS:
        return draw.randrange(*NUMBERS[field])
    if field is kinds.Float64:
        return draw.random()
    if field is kinds.TaggedFields:
        return {}
    if isinstance(field, kinds.Schema):
        return tuple(some(part, draw) for part in field.fields)
    if draw.random() < 0.1:
        return None
    if isinstance(field, kinds.Array):
        return [some(field.array_of, draw) for _ in range(draw.randrange(4))]
    if isinstance(field, kinds.String):
        return draw.choice(["", "llm.requests.v1", "é🦫"])
    assert field in (kinds.Bytes, kinds.CompactBytes), field
    return draw.randbytes(draw.randrange(40))


@pytest.mark.parametrize("message", messages(), ids=lambda message: message.__name__)
def test_each_message_is_written_and_read_as_aiokafka_does(message: type[Struct]) -> None:
    shape, draw = message.SCHEMA, random.Random(message.__name__)

    for _ in range(20):
        values = some(shape, draw)
        data = shape.encode(values)
        assert writer(shape)(values) == data
        assert reader(shape)(BytesIO(data)) == shape.decode(BytesIO(data))


def test_messages_are_known_from_one_that_is_read_to_the_next() -> None:
    data = BytesIO(FetchResponse_v11(1, 2, 3, [("t", [])]).encode() + b"more")

    read = FetchResponse_v11.decode(data)

    assert (read.throttle_time_ms, read.session_id, read.topics) == (1, 3, [("t", [])])
    assert data.read() == b"more"


@pytest.mark.parametrize("cut", range(1, 40))
def test_a_message_that_is_cut_off_is_a_fault(cut: int) -> None:
    part = (0, 0, 5, 5, 0, [(1, 2)], -1, b"some")
    data = FetchResponse_v11(1, 2, 3, [("topic", [part])]).encode()

    with pytest.raises(ValueError, match=r"not of this shape|bytes where"):
        FetchResponse_v11.decode(data[:-cut])


@pytest.mark.parametrize("values", [(2**31, 0, 0, []), ("one", 0, 0, []), (1, 2, 3), (1, 2, 3, [("t",)])])
def test_values_that_do_not_fit_are_a_fault(values: tuple[Any, ...]) -> None:
    with pytest.raises(ValueError, match=r"not of this shape|not as many"):
        writer(FetchResponse_v11.SCHEMA)(values)


def test_mending_twice_is_as_good_as_once() -> None:
    compiled_messages.apply()
    compiled_messages.apply()

    assert FetchResponse_v11.decode(FetchResponse_v11(1, 2, 3, None).encode()).topics is None
