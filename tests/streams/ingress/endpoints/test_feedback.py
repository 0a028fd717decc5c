from __future__ import annotations

import uuid
from typing import Any

import pytest

from schemas.events.catalog import FeedbackGiven
from streams.config.api_keys import new_key
from tests.streams.ingress.gateway import Gateway, running

REQUEST_ID = str(uuid.uuid4())
PLAIN, HASH = new_key()
LOCKED = {"tenants": {"acme": {}}, "keys": [{"id": "acme-1", "tenant": "acme", "hash": HASH}]}


async def test_feedback_is_published_under_its_request_id(gateway: Gateway) -> None:
    judgement = {"request_id": REQUEST_ID, "label": "good", "score": 0.9, "comment": "Helped."}

    response = await gateway.http.post("/v1/feedback", json=judgement)

    (output,), (event,) = gateway.log.written, gateway.log.events()
    assert response.status_code == 202
    assert response.json() == {"object": "feedback", "request_id": REQUEST_ID, "status": "accepted"}
    assert (output.topic, output.key) == ("llm.feedback.v1", REQUEST_ID.encode())
    assert isinstance(event, FeedbackGiven)
    assert (event.tenant, event.label, event.score, event.comment) == ("default", "good", 0.9, "Helped.")


async def test_policy_is_applied_to_feedback_texts() -> None:
    policy = {
        "pii": {"EMAIL_ADDRESS": "mask", "IP_ADDRESS": "allow"},
        "deny": [{"name": "apollo", "keywords": ["apollo"]}],
    }
    async with running(**LOCKED, policies={"default": policy}) as gateway:
        judgement = {"request_id": REQUEST_ID, "label": "project Apollo", "comment": "ada@example.com at 10.0.0.7"}

        response = await gateway.http.post("/v1/feedback", json=judgement, headers={"x-api-key": PLAIN})

        (output,), (event,) = gateway.log.written, gateway.log.events()
        assert response.status_code == 202
        assert isinstance(event, FeedbackGiven)
        assert (event.label, event.comment) == ("<deny.apollo>", "<EMAIL_ADDRESS> at 10.0.0.7")
        assert b"example.com" not in repr(output).encode()


async def test_two_feedbacks_on_one_request_are_two_events(gateway: Gateway) -> None:
    for label in ("good", "bad"):
        await gateway.http.post("/v1/feedback", json={"request_id": REQUEST_ID, "label": label})

    first, second = (dict(output.headers)["ce_id"] for output in gateway.log.written)
    assert first != second


async def test_feedback_tenant_comes_from_the_key() -> None:
    async with running(**LOCKED) as gateway:
        headers = {"x-api-key": PLAIN}

        said = await gateway.http.post(
            "/v1/feedback", json={"request_id": REQUEST_ID, "label": "x", "tenant": "globex"}, headers=headers
        )
        await gateway.http.post("/v1/feedback", json={"request_id": REQUEST_ID, "label": "x"}, headers=headers)

        (event,) = gateway.log.events()
        assert said.status_code == 400
        assert isinstance(event, FeedbackGiven)
        assert event.tenant == "acme"


@pytest.mark.parametrize(
    ("judgement", "param"),
    [
        ({"label": "good"}, "request_id"),
        ({"request_id": "7", "label": "good"}, "request_id"),
        ({"request_id": REQUEST_ID}, None),
        ({"request_id": REQUEST_ID, "score": "very"}, "score"),
        ({"request_id": REQUEST_ID, "label": "x" * 101}, "label"),
        ([], None),
    ],
)
async def test_invalid_feedback_is_rejected_with_its_field(gateway: Gateway, judgement: Any, param: str | None) -> None:
    response = await gateway.http.post("/v1/feedback", json=judgement)

    assert response.status_code == 400
    assert (response.json()["error"]["code"], response.json()["error"]["param"]) == ("invalid_feedback", param)
    assert gateway.log.written == []


@pytest.mark.parametrize("body", [b"", b"{", b"\xff"])
async def test_feedback_with_invalid_json_is_rejected(gateway: Gateway, body: bytes) -> None:
    response = await gateway.http.post("/v1/feedback", content=body)

    assert response.status_code == 400


async def test_feedback_is_rejected_without_a_broker(gateway: Gateway) -> None:
    gateway.log.available = False

    response = await gateway.http.post("/v1/feedback", json={"request_id": REQUEST_ID, "label": "good"})

    assert (response.status_code, response.headers["retry-after"]) == (503, "1")
