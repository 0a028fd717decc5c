"""The pages for people, and how the tests that hold the code to them read one."""

from __future__ import annotations

import re
from pathlib import Path

ROOT = Path(__file__).parents[1]
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
    """What stands under a heading that begins so."""
    found = re.search(rf"^## {re.escape(heading)}.*?\n(.*?)(?=^## |\Z)", page, re.MULTILINE | re.DOTALL)
    assert found is not None, heading
    return found[1]


def rows(text: str) -> list[list[str]]:
    """The tables' rows, but for their heads."""
    lines = re.findall(r"^\| (`.*)\|$", text, re.MULTILINE)
    return [[cell.strip() for cell in line.split("|")] for line in lines]


def words(text: str) -> set[str]:
    """What stands between backticks."""
    return set(re.findall(r"`([^`]+)`", text))
