"""Documentation pages, and functions that read their sections and tables."""

from __future__ import annotations

import re
from pathlib import Path

ROOT = Path(__file__).parents[2]
PAGES = {
    str(path.relative_to(ROOT)): path.read_text("utf-8")
    for path in (
        ROOT / "README.md",
        ROOT / "CONTRIBUTING.md",
        ROOT / "CHANGELOG.md",
        *sorted(ROOT.glob("benchmarks/*.md")),
        *sorted(ROOT.glob("docs/*.md")),
        *sorted(ROOT.glob("docs/decisions/*.md")),
    )
}


def section(page: str, heading: str) -> str:
    """Return the text below the heading that begins with these words."""
    match = re.search(rf"^## {re.escape(heading)}.*?\n(.*?)(?=^## |\Z)", page, re.MULTILINE | re.DOTALL)
    assert match is not None, heading
    return match[1]


def rows(text: str) -> list[list[str]]:
    """Return the table rows whose first cell is code."""
    lines = re.findall(r"^\| (`.*)\|$", text, re.MULTILINE)
    return [[cell.strip() for cell in line.split("|")] for line in lines]


def code_spans(text: str) -> set[str]:
    """Return the code spans."""
    return set(re.findall(r"`([^`]+)`", text))
