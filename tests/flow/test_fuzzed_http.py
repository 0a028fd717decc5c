"""Fuzz test of the running gateway with valid and invalid requests from its OpenAPI document."""

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

MIN_TIMEOUT_S = 10.0
"""Shorter timeouts may correctly lead to 504."""


HELLO = {"model": "demo", "messages": [{"role": "user", "content": "hello"}]}
RUN_ONE_OF = 3
"""One of this many systematic cases is run: there are more than a thousand."""

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
    """State of the caller."""

    gateway: GatewayProcess
    session: requests.Session = field(default_factory=requests.Session)
    cases: Counter[str] = field(default_factory=Counter)
    answered: dict[bool, str] = field(default_factory=dict)
    """Id of an answered request, by whether it was streamed."""

    def should_skip(self, case: Case[Any]) -> bool:
        """Return whether to skip a systematic case."""
        self.cases[case.operation.label] += 1
        is_systematic = case.meta is not None and case.meta.phase.name is TestPhase.COVERAGE
        return is_systematic and bool(self.cases[case.operation.label] % RUN_ONE_OF)

    def use_existing_names(self, case: Case[Any]) -> None:
        """Make two of three cases valid enough to reach a provider or a record."""
        if self.cases["all"] % 3 == 0:
            return
        if isinstance(case.body, dict) and isinstance(case.body.get("model"), str):
            case.body["model"] = "demo"
        if "model" in case.path_parameters:
            case.path_parameters["model"] = "demo"
        if "request_id" in case.path_parameters:
            case.path_parameters["request_id"] = self.answered[case.operation.path.endswith("/stream")]

    def avoid_timeouts_and_repeats(self, case: Case[Any]) -> None:
        """Raise short timeouts, and make idempotency keys unique."""
        for name, value in list(case.headers.items()):
            with contextlib.suppress(ValueError):
                if name.lower() == "x-request-timeout" and 0 < float(value) < MIN_TIMEOUT_S:
                    case.headers[name] = str(MIN_TIMEOUT_S)
            if name.lower() == "idempotency-key" and value:
                case.headers[name] = f"{self.cases['all']}{value}"[: len(value)]


@pytest.fixture(scope="module")
def caller(gateway: GatewayProcess) -> Iterator[Caller]:
    caller_ = Caller(gateway)
    for stream in (False, True):
        _, headers, _ = gateway.post("/v1/chat/completions", json.dumps(HELLO | {"stream": stream}).encode())
        caller_.answered[stream] = headers["x-request-id"]
    with caller_.session:
        yield caller_


@DESCRIBED.parametrize()
@settings(
    max_examples=15,
    derandomize=True,
    deadline=None,
    database=None,
    phases=(Phase.explicit, Phase.generate),
    suppress_health_check=list(HealthCheck),
)
def test_every_response_is_documented(case: Case[Any], caller: Caller) -> None:
    if caller.should_skip(case):
        return
    caller.cases["all"] += 1
    caller.use_existing_names(case)
    caller.avoid_timeouts_and_repeats(case)

    case.call_and_validate(base_url=caller.gateway.http, session=caller.session, timeout=60, checks=CHECKS)
