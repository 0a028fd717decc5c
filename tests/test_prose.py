"""Language: docstrings name their subject first, and what people read is in standard technical English."""

from __future__ import annotations

import io
import re
import tokenize
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.source_tree import ROOT, docstrings, modules, tracked

QUESTION_WORDS = {"What", "Who", "How", "Where", "Whether", "Which", "When", "Why", "Whose"}
BANNED = re.compile(
    r"\b(?:nobody|anybody|somebody|whoever|told|courtesy|hangs? up|hung up|at the door|lets? go of|makes? do"
    r"|is had|of ours|of theirs|as it pleases|in vain)\b",
    re.IGNORECASE,
)
"""Words that a reader has to guess at. Name the caller, the process or the operator; use the field's verb."""
PAGES = [file for file in tracked(".md") if file.name != "LICENSE.md"]


def test_docstring_names_its_subject_before_it_explains_it() -> None:
    opening = [
        f"{file}:{line}: {text.splitlines()[0]}"
        for file in modules("streams", "connectors", "schemas", "dashboards", "benchmarks", "tests")
        for line, text in docstrings(file)
        if text.split()[0].strip(",:;") in QUESTION_WORDS
    ]

    assert opening == []


def comments(file: Path) -> Iterator[tuple[int, str]]:
    """Yield line and text of each comment."""
    for token in tokenize.generate_tokens(io.StringIO((ROOT / file).read_text("utf-8")).readline):
        if token.type == tokenize.COMMENT:
            yield token.start[0], token.string


@pytest.mark.parametrize("package", ["streams", "connectors", "schemas", "dashboards", "benchmarks", "tests"])
def test_docstrings_and_comments_use_plain_words(package: str) -> None:
    found = [
        f"{file}:{line}: {match[0]}"
        for file in modules(package)
        if file.name != Path(__file__).name
        for line, text in (*docstrings(file), *comments(file))
        for match in BANNED.finditer(text)
    ]

    assert found == []


@pytest.mark.parametrize("page", PAGES, ids=str)
def test_page_uses_plain_words(page: Path) -> None:
    text = re.sub(r"^```.*?^```$|`[^`\n]*`", "", (ROOT / page).read_text("utf-8"), flags=re.MULTILINE | re.DOTALL)

    assert [match[0] for match in BANNED.finditer(text)] == []
