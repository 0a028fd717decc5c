from __future__ import annotations

from pathlib import Path

import pytest
from pyarrow import parquet

from streams.datasets.openai_sft import Example, UnusableExampleError
from streams.datasets.parquet import ROW_GROUP, ParquetFile


def example(content: object) -> Example:
    return {"messages": [{"role": "user", "content": content}]}


def test_examples_are_written_in_row_groups(tmp_path: Path) -> None:
    with ParquetFile(tmp_path / "x.parquet") as file:
        for number in range(ROW_GROUP + 1):
            file.write(example(str(number)))

    written = parquet.ParquetFile(tmp_path / "x.parquet")
    assert written.num_row_groups == 2
    assert written.read()["messages"][ROW_GROUP][0]["content"].as_py() == str(ROW_GROUP)
    assert written.schema_arrow.metadata[b"sluice.format"] == b"openai-sft"


def test_example_that_is_not_text_does_not_affect_others(tmp_path: Path) -> None:
    with ParquetFile(tmp_path / "x.parquet") as file:
        file.write(example("before"))
        with pytest.raises(UnusableExampleError):
            file.write(example([{"type": "image_url", "image_url": {"url": "x"}}]))
        file.write(example("after"))

    contents = [row["messages"][0]["content"] for row in parquet.read_table(tmp_path / "x.parquet").to_pylist()]
    assert contents == ["before", "after"]
