"""Write the tables of parameters into docs/providers.md, between its two marks, or check that they are there."""

from __future__ import annotations

import sys
from pathlib import Path

from connectors.providers.docs import parameter_tables as tables

PAGE = Path(__file__).parents[3] / "docs" / "providers.md"
BEGIN = "<!-- made by `make docs` from the providers' own tables: begin -->"
END = "<!-- made by `make docs`: end -->"


def insert_tables(text: str) -> str:
    """The page with what stands between the marks made anew.

    Raises:
        ValueError: a mark is missing.

    """
    before, begin, rest = text.partition(BEGIN)
    _, end, after = rest.partition(END)
    if not begin or not end:
        raise ValueError(f"{PAGE.name} needs the lines {BEGIN} and {END}")
    return f"{before}{BEGIN}\n\n{tables.render_tables()}\n{END}{after}"


def main(arguments: list[str]) -> int:
    """Write the page if it differs, or with --check only say so."""
    text = PAGE.read_text("utf-8")
    made = insert_tables(text)
    if made == text:
        sys.stdout.write("docs: in step with the providers\n")
        return 0
    if "--check" in arguments:
        sys.stdout.write("docs: docs/providers.md differs from the providers' tables (run `make docs`)\n")
        return 1
    PAGE.write_text(made, "utf-8")
    sys.stdout.write("docs: docs/providers.md written\n")
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
