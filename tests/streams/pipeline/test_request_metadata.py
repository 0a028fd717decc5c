from __future__ import annotations

import pytest

from streams.pipeline.request_metadata import valid_traceparent

TRACE = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01"


@pytest.mark.parametrize(("value", "expected"), [(TRACE, TRACE), ("", ""), ("ada@example.org", ""), (TRACE + "\n", "")])
def test_only_a_valid_traceparent_is_kept(value: str, expected: str) -> None:
    assert valid_traceparent(value) == expected
