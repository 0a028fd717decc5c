from __future__ import annotations

import uuid

import pytest

from streams.config.api_keys import new_key
from streams.ingress.replies.cache import CachedReply
from tests.eventually import eventually
from tests.streams.ingress.fake_log import ANSWER, StageAnswer
from tests.streams.ingress.gateway import Gateway, running

REQUEST_ID = str(uuid.uuid4())
ACME, ACME_HASH = new_key()
GLOBEX, GLOBEX_HASH = new_key()
TWO_TENANTS = {
    "tenants": {"acme": {}, "globex": {}},
    "keys": [
        {"id": "a", "tenant": "acme", "hash": ACME_HASH},
        {"id": "g", "tenant": "globex", "hash": GLOBEX_HASH},
    ],
}


async def poll(gateway: Gateway, request_id: str, key: str = "") -> tuple[int, dict[str, object]]:
    response = await gateway.http.get(f"/v1/requests/{request_id}", headers={"x-api-key": key})
    return response.status_code, response.json()


async def test_poll_returns_pending_then_the_answer(gateway: Gateway) -> None:
    accepted = await gateway.chat({"Prefer": "respond-async"})

    async def answered() -> dict[str, object]:
        status, document = await poll(gateway, accepted.json()["id"])
        assert (status, document["status"]) == (200, "answered")
        return document

    document = await eventually(answered)
    assert document["object"] == "request"
    assert isinstance(document["response"], dict)
    assert document["response"]["id"] == "chatcmpl-1"


async def test_poll_returns_the_error_of_a_failed_request(gateway: Gateway) -> None:
    gateway.log.answers = lambda _: StageAnswer(400, "refused", b'{"error":{"code":"policy_violation"}}')
    accepted = await gateway.chat({"Prefer": "respond-async"})

    async def refused() -> dict[str, object]:
        _, document = await poll(gateway, accepted.json()["id"])
        assert document["status"] == "refused"
        return document

    assert (await eventually(refused))["error"] == {"code": "policy_violation"}


async def test_pending_request_has_retry_after(gateway: Gateway) -> None:
    gateway.recorded["default", REQUEST_ID] = CachedReply(REQUEST_ID, "default", 1_000)

    response = await gateway.http.get(f"/v1/requests/{REQUEST_ID}")

    assert response.json()["status"] == "pending"
    assert response.headers["retry-after"] == "1"


async def test_request_that_is_not_cached_is_looked_up(gateway: Gateway) -> None:
    gateway.recorded["default", REQUEST_ID] = CachedReply(REQUEST_ID, "default", 1_000, "answered", 2_000, 200, ANSWER)

    status, document = await poll(gateway, REQUEST_ID.upper())

    assert (status, document["status"], document["created_at"], document["settled_at"]) == (200, "answered", 1, 2)


async def test_request_of_another_tenant_is_404() -> None:
    async with running(**TWO_TENANTS) as gateway:
        gateway.log.answers = lambda _: None
        accepted = await gateway.chat({"Prefer": "respond-async", "x-api-key": ACME})
        request_id = accepted.json()["id"]

        own, other, never = (
            await poll(gateway, request_id, ACME),
            await poll(gateway, request_id, GLOBEX),
            await poll(gateway, REQUEST_ID, GLOBEX),
        )

        assert (own[0], other[0], never[0]) == (200, 404, 404)
        assert str(other[1]).replace(request_id, "") == str(never[1]).replace(REQUEST_ID, "")


@pytest.mark.parametrize("request_id", ["nonsense", "%00", "1' OR '1'='1"])
async def test_invalid_request_id_is_404(gateway: Gateway, request_id: str) -> None:
    status, document = await poll(gateway, request_id)

    assert status == 404
    assert isinstance(document["error"], dict)
    assert document["error"]["code"] == "request_not_found"
