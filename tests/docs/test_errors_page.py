"""Tests that docs/errors.md lists exactly the error responses of the code."""

from __future__ import annotations

import re

from streams.pipeline.failures import ERROR_MAPPINGS, to_failure
from tests.docs.error_sites import STREAM_STATUS, ErrorResponse, error_responses
from tests.docs.pages import PAGES, code_spans, rows, section

PAGE = PAGES["docs/errors.md"]
INVALID_PARAMETER = to_failure("invalid_request", "", None, param="n").code
STREAM_CUT = "stream_cut"
"""Code of an error in a stream: its status in the code is never sent."""


def test_codes_table_lists_exactly_the_errors_of_the_code() -> None:
    listed = {
        ErrorResponse(int(status), row[2].strip("`"), row[0].strip("`"))
        for row in rows(section(PAGE, "Codes"))
        for status in re.findall(r"\d{3}", row[1])
    }

    defined = {
        error._replace(status=STREAM_STATUS) if error.code == STREAM_CUT else error for error in error_responses()
    }
    assert listed == defined


def test_clickhouse_table_maps_each_error_type_to_its_code() -> None:
    table = [row for row in rows(section(PAGE, "In ClickHouse")) if not row[0].startswith("`events`")]

    listed = {row[0].strip("`"): code_spans(row[1]) for row in table}

    additional = {"invalid_request": {INVALID_PARAMETER}}
    assert listed == {name: {mapping.code} | additional.get(name, set()) for name, mapping in ERROR_MAPPINGS.items()}
