from __future__ import annotations

import pytest

from streams.ingress.app import CHAT
from streams.ingress.endpoints.openapi.paths import paths
from streams.ingress.endpoints.openapi.request_bodies import bodies
from streams.ingress.translators.anthropic import request as anthropic_request
from streams.ingress.translators.responses import request as responses_request
from streams.pipeline.failures import ERROR_MAPPINGS, EXPIRED, IDEMPOTENCY_KEY_REUSED, IN_DOUBT


@pytest.mark.parametrize("path", [*CHAT, "/v1/embeddings"])
def test_every_status_of_a_stage_is_documented(path: str) -> None:
    told = {answer.status for answer in ERROR_MAPPINGS.values()} | {
        EXPIRED.status,
        IN_DOUBT.status,
        IDEMPOTENCY_KEY_REUSED.status,
    }

    assert {str(status) for status in told} <= paths()[path]["post"]["responses"].keys()


def test_errors_of_messages_have_anthropics_schema() -> None:
    (failed,) = {answer["$ref"] for status, answer in errors("/v1/messages").items() if status == "404"}

    assert failed == "#/components/responses/AnthropicError404"


def errors(path: str) -> dict[str, dict[str, str]]:
    return {status: answer for status, answer in paths()[path]["post"]["responses"].items() if "$ref" in answer}


@pytest.mark.parametrize(
    ("schema", "names"),
    [
        ("MessagesBody", anthropic_request.PARAMETER_WRITERS.keys()),
        ("ResponsesBody", responses_request.PARAMETER_WRITERS.keys()),
    ],
)
def test_translated_parameters_are_the_properties_of_the_body(schema: str, names: set[str]) -> None:
    body = bodies()[schema]

    assert names <= body["properties"].keys()
    assert body["additionalProperties"] is False
