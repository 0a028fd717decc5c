"""docs/errors.md names what there is, no more and no less."""

from __future__ import annotations

import re

from streams.pipeline.failures import ERROR_MAPPINGS, to_failure
from tests.docs.error_sites import STREAM_STATUS, ErrorResponse, error_responses
from tests.docs.pages import PAGES, code_spans, rows, section

PAGE = PAGES["docs/errors.md"]
REFUSED_HERE = to_failure("invalid_request", "", None, param="n").code
CUT = "stream_cut"
"""Has a status of its own in the code, for want of a place where nobody sees it."""


def test_every_error_has_its_row_and_every_row_its_error() -> None:
    said = {
        ErrorResponse(int(status), row[2].strip("`"), row[0].strip("`"))
        for row in rows(section(PAGE, "Codes"))
        for status in re.findall(r"\d{3}", row[1])
    }

    there = {error._replace(status=STREAM_STATUS) if error.code == CUT else error for error in error_responses()}
    assert said == there


def test_every_class_of_a_providers_error_stands_beside_the_code_that_its_caller_is_told() -> None:
    table = [row for row in rows(section(PAGE, "In ClickHouse")) if not row[0].startswith("`events`")]

    said = {row[0].strip("`"): code_spans(row[1]) for row in table}

    more = {"invalid_request": {REFUSED_HERE}}
    assert said == {name: {telling.code} | more.get(name, set()) for name, telling in ERROR_MAPPINGS.items()}
