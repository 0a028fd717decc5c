"""``GET /v1/requests/{id}/stream``: what it is asked; that it goes on is in tests/flow."""

from __future__ import annotations

import pytest

from schemas.identity import new_request_id
from tests.streams.ingress.gateway import Gateway


@pytest.mark.parametrize("after", ["x", "1.5", "--1", "%C2%B2", "9" * 5000], ids=lambda text: text[:8])
async def test_a_number_that_is_none_is_the_callers_mistake(gateway: Gateway, after: str) -> None:
    answer = await gateway.http.get(f"/v1/requests/{new_request_id()}/stream?after={after}")

    assert answer.status_code == 400
    assert answer.json()["error"]["code"] == "invalid_header"


async def test_a_stream_that_is_not_here_is_told_from_a_wrong_number(gateway: Gateway) -> None:
    answer = await gateway.http.get(f"/v1/requests/{new_request_id()}/stream", headers={"Last-Event-ID": "3"})

    assert answer.status_code == 404
    assert answer.json()["error"]["code"] == "stream_not_found"
