"""docs/errors.md names what there is, no more and no less."""

from __future__ import annotations

from streams.failures import TELLINGS, failure_of
from tests.pages import PAGES, rows, section, words

PAGE = PAGES["docs/errors.md"]
REFUSED_HERE = failure_of("invalid_request", "", None, param="n").code


def test_every_class_of_a_providers_error_stands_beside_the_code_that_its_caller_is_told() -> None:
    table = [row for row in rows(section(PAGE, "In ClickHouse")) if not row[0].startswith("`events`")]

    said = {row[0].strip("`"): words(row[1]) for row in table}

    more = {"invalid_request": {REFUSED_HERE}}
    assert said == {name: {telling.code} | more.get(name, set()) for name, telling in TELLINGS.items()}
