from __future__ import annotations

import pytest

from connectors.providers.provider import ProviderError
from connectors.providers.wire.sse import MAX_EVENT_BYTES, ServerSentEvent, SseReader

STREAM = b": comment\r\nevent: ping\r\ndata: 1\r\n\r\nid: 7\ndata: 2\ndata:3\n\nevent: empty\n\ndata: 4"


def test_events_do_not_depend_on_the_cuts() -> None:
    expected = [ServerSentEvent("ping", "1"), ServerSentEvent("", "2\n3"), ServerSentEvent("", "4")]

    for cut in range(len(STREAM) + 1):
        reader = SseReader()
        events = [*reader.feed(STREAM[:cut]), *reader.feed(STREAM[cut:]), *reader.finish()]

        assert events == expected


@pytest.mark.parametrize("ending", [b"", b"\n"])
def test_event_above_the_limit_is_a_server_error(ending: bytes) -> None:
    reader = SseReader()
    line = b"data: " + b"x" * (MAX_EVENT_BYTES // 2) + ending
    reader.feed(line)

    with pytest.raises(ProviderError, match="larger than") as caught:
        reader.feed(line)

    assert caught.value.error_type == "server"


def test_event_that_is_not_utf8_is_a_server_error() -> None:
    with pytest.raises(ProviderError, match="UTF-8"):
        SseReader().feed(b"data: \xff\n")
