"""``GET /openapi.json``: what this gateway takes and answers, for machines. It needs no key and tells no secret."""

from __future__ import annotations

import functools
from importlib import metadata
from typing import Any

import orjson
from starlette.requests import Request
from starlette.responses import Response

from streams.ingress.endpoints.openapi.headers import HEADERS
from streams.ingress.endpoints.openapi.paths import errors, paths
from streams.ingress.endpoints.openapi.request_bodies import bodies
from streams.ingress.endpoints.openapi.responses import ANSWERS

JSON = dict[str, Any]


def document() -> JSON:
    """OpenAPI 3.1: made of what checks the bodies and of what writes the answers, the same for every configuration."""
    return {
        "openapi": "3.1.0",
        "info": {"title": "Sluice", "version": metadata.version("sluicegate")},
        "paths": paths(),
        "components": {
            "schemas": {**bodies(), **ANSWERS},
            "responses": errors(),
            "headers": HEADERS,
            "securitySchemes": {
                "bearer": {"type": "http", "scheme": "bearer"},
                "key": {"type": "apiKey", "in": "header", "name": "x-api-key"},
            },
        },
    }


@functools.cache
def _written() -> bytes:
    return orjson.dumps(document())


async def get(http: Request) -> Response:  # noqa: ARG001 - an endpoint's signature
    """The document as JSON, made when it is asked for first."""
    return Response(_written(), media_type="application/json")
