from __future__ import annotations

import inspect

import pytest

from connectors.kafka import Producer, Reader
from streams.ingress.log import Log, Replies
from tests.streams.ingress.fake_log import FakeLog


@pytest.mark.parametrize("end", [Producer("nowhere:1"), FakeLog()])
def test_the_real_producer_and_its_twin_both_write_as_the_ingress_asks(end: Log) -> None:
    assert inspect.iscoroutinefunction(end.send)
    assert list(inspect.signature(end.send).parameters) == ["output"]


@pytest.mark.parametrize("end", [Reader("nowhere:1", []), FakeLog()])
def test_the_real_reader_and_its_twin_both_yield_lists(end: Replies) -> None:
    assert inspect.isasyncgenfunction(end.__aiter__)
