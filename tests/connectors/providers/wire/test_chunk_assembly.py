from __future__ import annotations

from connectors.providers.wire.chunk_assembly import ChunkAssembler, split_into_chunks
from schemas.json_types import JsonObject

COMPLETION: JsonObject = {
    "id": "c1",
    "created": 1,
    "model": "m",
    "object": "chat.completion",
    "choices": [
        {
            "index": 0,
            "message": {"role": "assistant", "content": "one two  three\n", "reasoning_content": "so it is"},
            "finish_reason": "stop",
        },
        {
            "index": 1,
            "message": {
                "role": "assistant",
                "content": "",
                "tool_calls": [
                    {"index": 0, "id": "t1", "type": "function", "function": {"name": "f", "arguments": "{}"}},
                ],
            },
            "finish_reason": "tool_calls",
        },
    ],
    "usage": {"prompt_tokens": 1, "completion_tokens": 2, "total_tokens": 3},
}


def test_assembled_chunks_of_a_completion_are_the_completion() -> None:
    assembler = ChunkAssembler()
    for chunk in split_into_chunks(COMPLETION):
        assembler.add(chunk)

    assert assembler.body == COMPLETION
    assert assembler.is_finished


def test_assembler_is_unfinished_until_every_choice_has_a_finish_reason() -> None:
    assembler = ChunkAssembler()
    assert not assembler.is_finished

    assembler.add({"choices": [{"index": 0, "delta": {"content": "a"}, "finish_reason": "stop"}]})
    assembler.add({"choices": [{"index": 1, "delta": {"content": "b"}}]})

    assert not assembler.is_finished


def test_log_probabilities_are_appended_and_the_chunks_are_unchanged() -> None:
    assembler = ChunkAssembler()
    chunks: list[JsonObject] = [
        {"choices": [{"index": 0, "delta": {}, "logprobs": {"content": [token]}}]} for token in ("a", "b")
    ]
    for chunk in chunks:
        assembler.add(chunk)

    assert assembler.body["choices"][0]["logprobs"] == {"content": ["a", "b"]}
    assert chunks[0]["choices"][0]["logprobs"] == {"content": ["a"]}
