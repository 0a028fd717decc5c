from __future__ import annotations

import pytest

from connectors.providers.provider import ProviderError
from connectors.providers.wire.json_access import object_at, objects_of, parse_event, parse_object


@pytest.mark.parametrize("holder", [None, [], "x", {"a": None}, {"a": [1]}, {"b": {}}])
def test_object_at_is_empty_without_an_object(holder: object) -> None:
    assert object_at(holder, "a") == {}


def test_objects_of_skips_items_of_other_types() -> None:
    assert objects_of([{"a": 1}, None, "x", [2]]) == [{"a": 1}]
    assert objects_of({"a": 1}) == []


@pytest.mark.parametrize("content", [b"", b"[1]", b"null", "{"])
def test_content_that_is_not_an_object_is_none_and_an_event_error(content: bytes | str) -> None:
    assert parse_object(content) is None
    with pytest.raises(ProviderError, match="not a JSON object") as caught:
        parse_event(content)

    assert (caught.value.error_type, caught.value.http_status) == ("server", 200)
