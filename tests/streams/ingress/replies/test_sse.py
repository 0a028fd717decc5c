"""``GET /v1/requests/{id}/stream``: what it is asked; that it goes on is in tests/flow."""

from __future__ import annotations

import orjson
import pytest

from schemas.events.request_id import new_request_id
from streams.ingress.endpoints.stream_resume import _events_after
from streams.ingress.replies.reader import Reply, ReplyChunk
from streams.ingress.replies.stream_buffer import StreamBuffer
from streams.ingress.translators.anthropic.translator import AnthropicTranslator
from streams.ingress.translators.responses.translator import ResponsesTranslator
from streams.ingress.translators.translator import ApiTranslator, OpenAITranslator
from tests.streams.ingress.gateway import Gateway


@pytest.mark.parametrize("after", ["x", "1.5", "--1", "%C2%B2", "9" * 5000], ids=lambda text: text[:8])
async def test_invalid_last_event_id_is_a_bad_request(gateway: Gateway, after: str) -> None:
    answer = await gateway.http.get(f"/v1/requests/{new_request_id()}/stream?after={after}")

    assert answer.status_code == 400
    assert answer.json()["error"]["code"] == "invalid_header"


async def test_unknown_stream_is_404_and_invalid_number_400(gateway: Gateway) -> None:
    answer = await gateway.http.get(f"/v1/requests/{new_request_id()}/stream", headers={"Last-Event-ID": "3"})

    assert answer.status_code == 404
    assert answer.json()["error"]["code"] == "stream_not_found"


@pytest.mark.parametrize("front", [OpenAITranslator(), AnthropicTranslator(), ResponsesTranslator()])
async def test_resumed_stream_has_only_the_missed_events_in_the_clients_format(front: ApiTranslator) -> None:
    stream = StreamBuffer("r", "t", lambda: front.event_writer(b"{}"))
    for number, text in enumerate(("one ", "two ", "three")):
        chunk = {"id": "x", "created": 1, "model": "m", "choices": [{"index": 0, "delta": {"content": text}}]}
        stream.add(ReplyChunk("r", "c", number, 1, orjson.dumps(chunk)))
    stream.end(Reply("r", "c", 200, "answered", "", None, b"{}", streamed=True))

    whole = b"".join([piece async for piece in _events_after(stream, -1)])
    behind = b"".join([piece async for piece in _events_after(stream, 1)])

    assert whole.endswith(behind)
    assert b"three" in behind
    assert b"two" not in behind.split(b"three")[0]
    assert whole[: -len(behind)].split(b"\n\n")[-2].startswith(b"id: 1\n")
