from __future__ import annotations

import orjson

from streams.ingress.translators.translator import ApiTranslator, OpenAITranslator, named_events, serial, stream_cut

FRONT: ApiTranslator = OpenAITranslator()


def test_openai_translator_changes_nothing() -> None:
    body = b'{"model":  "m"}'

    assert FRONT.to_chat_request(body) is body
    assert FRONT.from_completion(body, b"") is body
    assert FRONT.from_error(body) is body


def test_chunks_have_their_number_as_id_and_done_at_the_end() -> None:
    writer = FRONT.event_writer(b"")

    assert writer.event(3, b"{}") == b"id: 3\ndata: {}\n\n"
    assert writer.last(None) == b"data: [DONE]\n\n"
    assert writer.last(b'{"error": {}}') == b'data: {"error": {}}\n\n'


def test_named_event_has_its_type_in_event_and_data() -> None:
    assert named_events([{"type": "ping"}]) == b'event: ping\ndata: {"type":"ping"}\n\n'


def test_last_event_of_a_chunk_has_its_number_as_id() -> None:
    written = named_events([{"type": "a"}, {"type": "b"}], 7)

    assert written == b'event: a\ndata: {"type":"a"}\n\nid: 7\nevent: b\ndata: {"type":"b"}\n\n'


def test_cut_stream_ends_with_the_reason() -> None:
    error = orjson.loads(stream_cut("the deadline passed"))["error"]

    assert error["code"] == "stream_cut"
    assert "the deadline passed" in error["message"]


def test_serial_removes_the_prefix_of_a_completion_id() -> None:
    assert [serial({"id": "chatcmpl-7"}), serial({"id": "gen-7"}), serial({"id": None})] == ["7", "gen-7", ""]
