"""Writer of JSON Lines: one example per line, UTF-8."""

from __future__ import annotations

from pathlib import Path
from typing import Self

import orjson

from streams.datasets.openai_sft import Example


class JsonlFile:
    """Writes examples unchanged."""

    def __init__(self, path: Path) -> None:
        self._file = path.open("wb")

    def write(self, example: Example) -> None:
        """Add an example."""
        self._file.write(orjson.dumps(example, option=orjson.OPT_APPEND_NEWLINE))

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self._file.close()
