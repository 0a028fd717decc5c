from __future__ import annotations

import json

import jsonschema_rs
import pytest
from starlette.routing import Route

from streams.ingress.endpoints.openapi.document import document
from tests.streams.ingress.gateway import CHAT, Gateway


def routes(gateway: Gateway) -> set[tuple[str, str]]:
    """Path and method of each route of the application; HEAD goes with GET."""
    found = gateway.ingress._app._app.router.routes  # type: ignore[attr-defined]
    assert all(isinstance(route, Route) for route in found)
    return {
        (route.path.replace(":path}", "}"), method.lower()) for route in found for method in route.methods - {"HEAD"}
    }


async def test_document_has_exactly_the_served_paths(gateway: Gateway) -> None:
    described = {(path, method) for path, item in document()["paths"].items() for method in item}

    assert described == routes(gateway)


async def test_document_is_served_without_a_key(gateway: Gateway) -> None:
    answer = await gateway.http.get("/openapi.json")

    assert (answer.status_code, answer.headers["content-type"]) == (200, "application/json")
    assert answer.json() == json.loads(json.dumps(document()))


def references(part: object) -> set[str]:
    if isinstance(part, dict):
        own = {part["$ref"]} if isinstance(part.get("$ref"), str) else set()
        return own.union(*map(references, part.values()))
    return set().union(*map(references, part)) if isinstance(part, list) else set()


def test_every_reference_resolves_and_every_component_is_used() -> None:
    made = document()

    components = made["components"]
    there = {f"#/components/{kind}/{name}" for kind in ("schemas", "responses", "headers") for name in components[kind]}
    assert references(made) == there


@pytest.mark.parametrize(
    ("wrong", "where"),
    [
        ({"messages": [{"role": "nobody", "content": "x"}]}, "messages"),
        ({"messages": []}, "messages"),
        ({"temperature": 3}, "temperature"),
        ({"tools": [{"type": "function", "function": {"name": ""}}]}, "tools"),
        ({"stop": ["a"] * 5}, "stop"),
        ({"tool_choice": "maybe"}, "tool_choice"),
    ],
)
def test_rejected_body_does_not_match_the_document(wrong: dict[str, object], where: str) -> None:
    made = document()
    schema = {"$ref": "#/components/schemas/ChatBody", "components": made["components"]}
    validator = jsonschema_rs.Draft202012Validator(schema)

    errors = list(validator.iter_errors(CHAT | wrong))

    assert validator.is_valid(CHAT)
    assert [error.instance_path[0] for error in errors] == [where]
