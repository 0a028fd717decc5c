"""The running gateway against whatever its own OpenAPI document lets one think of, and what it forbids."""

from __future__ import annotations

import contextlib
import json
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any

import pytest
import requests
import schemathesis
from hypothesis import HealthCheck, Phase, settings
from schemathesis import Case
from schemathesis.checks import not_a_server_error
from schemathesis.generation.meta import TestPhase
from schemathesis.specs.openapi import checks

from streams.ingress.endpoints.openapi.document import document
from tests.fixtures.gateway import GatewayProcess

pytestmark = pytest.mark.flow

PATIENCE_S = 10.0
"""Who waits less may be told 504, and be told the truth."""


HELLO = {"model": "demo", "messages": [{"role": "user", "content": "hello"}]}
ONE_OF = 3
"""So many of the cases that are made for every field and its limits: there are more than a thousand."""

DESCRIBED = schemathesis.openapi.from_dict(document())
CHECKS = [
    not_a_server_error,
    checks.status_code_conformance,
    checks.content_type_conformance,
    checks.response_schema_conformance,
    checks.response_headers_conformance,
]


@dataclass
class Caller:
    """What one caller of the gateway has done so far."""

    gateway: GatewayProcess
    session: requests.Session = field(default_factory=requests.Session)
    turns: Counter[str] = field(default_factory=Counter)
    answered: dict[bool, str] = field(default_factory=dict)
    """The id of a request that it may ask for, by whether it has a stream."""

    def is_passed_over(self, case: Case[Any]) -> bool:
        """Leave out most of those that differ in one field alone."""
        self.turns[case.operation.label] += 1
        is_systematic = case.meta is not None and case.meta.phase.name is TestPhase.COVERAGE
        return is_systematic and bool(self.turns[case.operation.label] % ONE_OF)

    def make_sense(self, case: Case[Any]) -> None:
        """Turn what would be refused at once into what reaches a provider or a record, in two of three cases."""
        if self.turns["all"] % 3 == 0:
            return
        if isinstance(case.body, dict) and isinstance(case.body.get("model"), str):
            case.body["model"] = "demo"
        if "model" in case.path_parameters:
            case.path_parameters["model"] = "demo"
        if "request_id" in case.path_parameters:
            case.path_parameters["request_id"] = self.answered[case.operation.path.endswith("/stream")]

    def have_patience(self, case: Case[Any]) -> None:
        """Who waits less may be told 504, and a name that was used before gets what it had."""
        for name, value in list(case.headers.items()):
            with contextlib.suppress(ValueError):
                if name.lower() == "x-request-timeout" and 0 < float(value) < PATIENCE_S:
                    case.headers[name] = str(PATIENCE_S)
            if name.lower() == "idempotency-key" and value:
                case.headers[name] = f"{self.turns['all']}{value}"[: len(value)]


@pytest.fixture(scope="module")
def caller(gateway: GatewayProcess) -> Iterator[Caller]:
    made = Caller(gateway)
    for stream in (False, True):
        _, headers, _ = gateway.post("/v1/chat/completions", json.dumps(HELLO | {"stream": stream}).encode())
        made.answered[stream] = headers["x-request-id"]
    with made.session:
        yield made


@DESCRIBED.parametrize()
@settings(
    max_examples=15,
    derandomize=True,
    deadline=None,
    database=None,
    phases=(Phase.explicit, Phase.generate),
    suppress_health_check=list(HealthCheck),
)
def test_every_answer_is_one_of_those_in_the_document(case: Case[Any], caller: Caller) -> None:
    if caller.is_passed_over(case):
        return
    caller.turns["all"] += 1
    caller.make_sense(case)
    caller.have_patience(case)

    case.call_and_validate(base_url=caller.gateway.http, session=caller.session, timeout=60, checks=CHECKS)
