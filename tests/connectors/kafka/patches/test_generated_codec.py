"""The generated codec, compared with aiokafka's own for every message that aiokafka defines."""

from __future__ import annotations

import importlib
import pkgutil
import random
from io import BytesIO
from typing import Any

import pytest
from aiokafka import protocol
from aiokafka.protocol import types
from aiokafka.protocol.fetch import FetchResponse_v11
from aiokafka.protocol.struct import Struct

from connectors.kafka.patches.generated_codec import decoder, encoder


def messages() -> list[type[Struct]]:
    for module in pkgutil.iter_modules(protocol.__path__):
        importlib.import_module(f"aiokafka.protocol.{module.name}")
    found: list[type[Struct]] = []
    pending = [Struct]
    while pending:
        message = pending.pop()
        found.append(message)
        pending += message.__subclasses__()
    return found


NUMBERS: dict[Any, tuple[int, int]] = {
    types.Boolean: (0, 2),
    types.Int8: (-(2**7), 2**7),
    types.Int16: (-(2**15), 2**15),
    types.Int32: (-(2**31), 2**31),
    types.UInt32: (0, 2**32),
    types.Int64: (-(2**63), 2**63),
    types.UnsignedVarInt32: (0, 2**28),
    types.VarInt32: (0, 1000),
    types.VarInt64: (0, 1000),
}


def random_value(field: Any, draw: random.Random) -> Any:
    """Draw a valid value of a field, sometimes None."""
    if field in NUMBERS:
        return draw.randrange(*NUMBERS[field])
    if field is types.Float64:
        return draw.random()
    if field is types.TaggedFields:
        return {}
    if isinstance(field, types.Schema):
        return tuple(random_value(part, draw) for part in field.fields)
    if draw.random() < 0.1:
        return None
    if isinstance(field, types.Array):
        return [random_value(field.array_of, draw) for _ in range(draw.randrange(4))]
    if isinstance(field, types.String):
        return draw.choice(["", "llm.requests.v1", "é🦫"])
    assert field in (types.Bytes, types.CompactBytes), field
    return draw.randbytes(draw.randrange(40))


@pytest.mark.parametrize("message", messages(), ids=lambda message: message.__name__)
def test_codec_encodes_and_decodes_each_message_as_aiokafka_does(message: type[Struct]) -> None:
    schema, draw = message.SCHEMA, random.Random(message.__name__)

    for _ in range(20):
        values = random_value(schema, draw)
        data = schema.encode(values)
        assert encoder(schema)(values) == data
        assert decoder(schema)(BytesIO(data)) == schema.decode(BytesIO(data))


def test_decode_leaves_the_bytes_after_a_message_unread() -> None:
    data = BytesIO(FetchResponse_v11(1, 2, 3, [("t", [])]).encode() + b"more")

    read = FetchResponse_v11.decode(data)

    assert (read.throttle_time_ms, read.session_id, read.topics) == (1, 3, [("t", [])])
    assert data.read() == b"more"


@pytest.mark.parametrize("cut", range(1, 40))
def test_decode_raises_on_a_truncated_message(cut: int) -> None:
    part = (0, 0, 5, 5, 0, [(1, 2)], -1, b"some")
    data = FetchResponse_v11(1, 2, 3, [("topic", [part])]).encode()

    with pytest.raises(ValueError, match=r"does not fit the schema|bytes where"):
        FetchResponse_v11.decode(data[:-cut])


@pytest.mark.parametrize("values", [(2**31, 0, 0, []), ("one", 0, 0, []), (1, 2, 3), (1, 2, 3, [("t",)])])
def test_encode_raises_on_values_that_do_not_fit(values: tuple[Any, ...]) -> None:
    with pytest.raises(ValueError, match=r"does not fit the schema|not as many"):
        encoder(FetchResponse_v11.SCHEMA)(values)


def test_decode_of_a_null_array_is_none() -> None:
    assert FetchResponse_v11.decode(FetchResponse_v11(1, 2, 3, None).encode()).topics is None
