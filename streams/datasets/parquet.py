"""Writer of Parquet, in the columns that Hugging Face's `datasets` and TRL read without a conversion.

``messages`` is a list of structs, because trainers index it. ``tools`` is JSON text, because every tool has its own
schema and a column has one. A struct has one type for the content, so every message must be text.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any, Self

import orjson
import pyarrow as pa
from pyarrow.parquet import ParquetWriter

from streams.datasets.openai_sft import Example, Message, UnusableExampleError

ROW_GROUP = 1000
"""Examples that are written together."""

_CALL = pa.struct(
    [
        ("id", pa.string()),
        ("type", pa.string()),
        ("function", pa.struct([("name", pa.string()), ("arguments", pa.string())])),
    ]
)
_MESSAGE = pa.struct(
    [
        ("role", pa.string()),
        ("content", pa.string()),
        ("name", pa.string()),
        ("tool_calls", pa.list_(_CALL)),
        ("tool_call_id", pa.string()),
    ]
)
SCHEMA = pa.schema(
    [("messages", pa.list_(_MESSAGE)), ("tools", pa.string()), ("parallel_tool_calls", pa.bool_())],
    metadata={"sluice.format": "openai-sft"},
)


class ParquetFile:
    """Writes examples in row groups, compressed with zstd."""

    def __init__(self, path: Path) -> None:
        self._writer = ParquetWriter(path, SCHEMA, compression="zstd")
        self._pending: list[dict[str, Any]] = []

    def write(self, example: Example) -> None:
        """Add an example.

        Raises:
            UnusableExampleError: a message holds more than text.

        """
        tools = example.get("tools")
        self._pending.append(
            {
                "messages": [{**message, "content": _text(message)} for message in example["messages"]],
                "tools": orjson.dumps(tools).decode() if tools else None,
                "parallel_tool_calls": example.get("parallel_tool_calls"),
            }
        )
        if len(self._pending) >= ROW_GROUP:
            self._flush()

    def _flush(self) -> None:
        if self._pending:
            self._writer.write_table(pa.Table.from_pylist(self._pending, schema=SCHEMA))
            self._pending.clear()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, kind: type[BaseException] | None, *_: object) -> None:
        if kind is None:
            self._flush()
        self._writer.close()


def _text(message: Message) -> str | None:
    """Return the content as one text, with its text parts joined."""
    content = message["content"]
    if content is None or isinstance(content, str):
        return content
    if not all(isinstance(part, dict) and isinstance(part.get("text"), str) for part in content):
        raise UnusableExampleError("content_not_text")
    return "".join(part["text"] for part in content)
