from __future__ import annotations

from pathlib import Path

from streams.datasets.manifest import manifest_path
from streams.datasets.openai_sft import REASONS
from streams.datasets.selection import FORMATS

DOCS = (Path(__file__).parents[3] / "docs" / "datasets.md").read_text("utf-8")


def test_manifest_path_is_next_to_the_file() -> None:
    assert manifest_path(Path("data/rivers.jsonl")) == Path("data/rivers.jsonl.manifest.json")


def test_each_reason_and_format_is_documented() -> None:
    assert [reason for reason in REASONS if f"| `{reason}` |" not in DOCS] == []
    assert [name for name in FORMATS if f"--format {name}" not in DOCS] == []
