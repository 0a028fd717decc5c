from __future__ import annotations

from pathlib import Path

from streams.datasets.manifest import manifest_path
from streams.datasets.openai_sft import REASONS
from streams.datasets.selection import FORMATS

DOCS = (Path(__file__).parents[3] / "docs" / "datasets.md").read_text("utf-8")


def test_the_manifest_stands_beside_its_file() -> None:
    assert manifest_path(Path("data/rivers.jsonl")) == Path("data/rivers.jsonl.manifest.json")


def test_every_reason_and_every_format_is_explained() -> None:
    assert [reason for reason in REASONS if f"| `{reason}` |" not in DOCS] == []
    assert [name for name in FORMATS if f"--format {name}" not in DOCS] == []
