"""``POST /v1/feedback``: feedback on an answer."""

from __future__ import annotations

import time
import uuid
from typing import Annotated

import orjson
from pydantic import BaseModel, ConfigDict, Field, ValidationError, model_validator
from starlette.requests import Request
from starlette.responses import Response

from connectors.kafka import KafkaFaultError
from schemas.avro.codec import encode
from schemas.events.catalog import FeedbackGiven
from schemas.events.request_id import new_request_id
from schemas.kafka.headers import cloudevent_headers
from schemas.kafka.records import ProducerRecord
from schemas.kafka.topics import Topic
from schemas.validation_messages import describe, path_of
from streams.ingress.errors import bad_request, unavailable
from streams.ingress.requests.authentication import ApiKeyAuthenticator
from streams.ingress.requests.body import read_body
from streams.ingress.requests.publisher import RequestPublisher
from streams.ingress.requests.single_headers import HEADERS
from streams.policy.rules import CompiledPolicies, redact

BODY_LIMIT_BYTES = 64 * 1024


class FeedbackBody(BaseModel):
    """Body of a feedback request. The tenant is that of the key."""

    model_config = ConfigDict(extra="forbid")

    request_id: uuid.UUID
    label: str = Field(default="", max_length=100)
    score: Annotated[float | None, Field(allow_inf_nan=False)] = None
    comment: str = Field(default="", max_length=4000)

    @model_validator(mode="after")
    def _is_not_empty(self) -> FeedbackBody:
        if not self.label and self.score is None and not self.comment:
            raise ValueError("must have one of label, score and comment")
        return self


class FeedbackEndpoint:
    """Publishes feedback. The tenant's policy is applied to its texts."""

    def __init__(
        self,
        authenticator: ApiKeyAuthenticator,
        publisher: RequestPublisher,
        topic: Topic,
        policies: CompiledPolicies,
    ) -> None:
        self._authenticator = authenticator
        self._publisher = publisher
        self._topic = topic
        self._policies = policies

    async def post(self, http: Request) -> Response:
        """Accept feedback, and answer 202 once the broker has acknowledged it.

        Raises:
            ApiError: 400, the body is invalid; 503, the broker is unavailable.

        """
        headers = http.scope[HEADERS]
        caller = self._authenticator.authenticate(headers)
        feedback = _parse(await read_body(http.receive, headers, BODY_LIMIT_BYTES))
        policy = self._policies.for_tenant(caller.tenant)
        event = FeedbackGiven(
            request_id=str(feedback.request_id),
            tenant=caller.tenant,
            label=redact(feedback.label, policy),
            score=feedback.score,
            comment=redact(feedback.comment, policy),
            given_at=time.time_ns() // 1_000_000,
        )
        await self._publish(event)
        body = {"object": "feedback", "request_id": event.request_id, "status": "accepted"}
        return Response(orjson.dumps(body), 202, media_type="application/json")

    async def _publish(self, event: FeedbackGiven) -> None:
        # A request may have several feedback events, so the event id can't be derived from the request id.
        serial = f"/{new_request_id()}"
        headers = cloudevent_headers(event, event.request_id, "ingress", event.given_at, "", serial=serial)
        try:
            await self._publisher.send(
                ProducerRecord(self._topic.name, event.request_id.encode(), encode(event), headers)
            )
        except KafkaFaultError as error:
            raise unavailable("broker_unavailable", "Kafka did not acknowledge the feedback. Retry it.") from error


def _parse(body: bytes) -> FeedbackBody:
    try:
        return FeedbackBody.model_validate_json(body)
    except ValidationError as error:
        details = error.errors(include_input=False, include_url=False)[0]
        path, problem = path_of(details), describe(details)
        raise bad_request("invalid_feedback", f"{path or 'the body'} {problem}", path or None) from None
