"""``GET /openapi.json``: the OpenAPI document of this gateway. It needs no key and exposes no secrets."""

from __future__ import annotations

import functools
from importlib import metadata

import orjson
from starlette.requests import Request
from starlette.responses import Response

from schemas.json_types import JsonObject
from streams.ingress.endpoints.openapi.headers import HEADERS
from streams.ingress.endpoints.openapi.paths import errors, paths
from streams.ingress.endpoints.openapi.request_bodies import bodies
from streams.ingress.endpoints.openapi.responses import ANSWERS


def document() -> JsonObject:
    """Return the OpenAPI 3.1 document, which is the same for every configuration."""
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
def _document_bytes() -> bytes:
    return orjson.dumps(document())


async def get(http: Request) -> Response:  # noqa: ARG001 - an endpoint's signature
    """Return the document as JSON. It is created at the first request."""
    return Response(_document_bytes(), media_type="application/json")
