from __future__ import annotations

import jsonschema_rs
import pytest

from schemas.events.vocabulary import Operation
from schemas.openai import bodies as openai
from schemas.openai.bodies import ChatBody, EmbeddingsBody
from schemas.openai.json_schema import model_json_schema

IMAGE_PART = {"type": "image_url", "image_url": {"url": "https://example.org/a.png"}}
CALL = {"id": "1", "type": "function", "function": {"name": "f", "arguments": "{}"}}


def chat(**message: object) -> dict[str, object]:
    return {"model": "m", "messages": [message]}


@pytest.mark.parametrize(
    ("operation", "body"),
    [
        ("chat", chat(role="user", content="hi")),
        ("chat", chat(role="system", content=[{"type": "text", "text": "hi"}])),
        ("chat", chat(role="user", content=[IMAGE_PART])),
        ("chat", chat(role="system", content=[IMAGE_PART])),
        ("chat", chat(role="assistant", tool_calls=[CALL])),
        ("chat", chat(role="assistant")),
        ("chat", chat(role="assistant", content=None)),
        ("chat", chat(role="assistant", content=None, refusal="no")),
        ("chat", chat(role="tool", content="x", tool_call_id="1")),
        ("chat", chat(role="tool", content="x")),
        ("chat", chat(role="stranger", content="x")),
        ("chat", chat(content="x")),
        ("chat", chat(role="user", content=[])),
        ("chat", chat(role="user", content=7)),
        ("chat", chat(role="user", content="x") | {"stop": None, "tool_choice": {"type": "function"}}),
        ("chat", chat(role="user", content="x") | {"stop": 7}),
        ("chat", chat(role="user", content="x") | {"tool_choice": "perhaps"}),
        ("embeddings", {"model": "m", "input": "x"}),
        ("embeddings", {"model": "m", "input": ["x", "y"]}),
        ("embeddings", {"model": "m", "input": [1, 2]}),
        ("embeddings", {"model": "m", "input": [[1], [2]]}),
        ("embeddings", {"model": "m", "input": ["x", 1]}),
        ("embeddings", {"model": "m", "input": []}),
        ("embeddings", {"model": "m", "input": ["x", ""]}),
        ("embeddings", {"model": "m", "input": [[]]}),
    ],
)
def test_json_schema_accepts_the_same_bodies_as_validation(operation: Operation, body: dict[str, object]) -> None:
    schemas = model_json_schema("#/$defs/", ChatBody, EmbeddingsBody)
    name = "ChatBody" if operation == "chat" else "EmbeddingsBody"

    is_valid = jsonschema_rs.is_valid({"$ref": f"#/$defs/{name}", "$defs": schemas}, body)

    assert is_valid == (openai.validation_failure(operation, body) is None)
