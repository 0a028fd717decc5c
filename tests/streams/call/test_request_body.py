from __future__ import annotations

from typing import Any

import pytest

from streams.call.request_body import parse_body, wants_usage
from streams.pipeline.stage import DeadLetterError
from tests.factories import routed


@pytest.mark.parametrize("body", ["[]", "nothing", ""])
def test_body_that_is_not_a_json_object_is_a_dead_letter(body: str) -> None:
    with pytest.raises(DeadLetterError):
        parse_body(routed(body=body))


@pytest.mark.parametrize(
    ("body", "wanted"),
    [({}, False), ({"stream_options": {"include_usage": True}}, True), ({"stream_options": ["include_usage"]}, False)],
)
def test_wants_usage_reads_include_usage(body: dict[str, Any], wanted: bool) -> None:
    assert wants_usage(body) is wanted
