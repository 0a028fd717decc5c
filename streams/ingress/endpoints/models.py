"""``GET /v1/models``: the configured names that this caller may use; what else a provider has is not listed."""

from __future__ import annotations

import orjson
from starlette.requests import Request
from starlette.responses import Response

from schemas.events.parts import Failure
from streams.ingress.errors import INVALID_REQUEST_ERROR, ApiError
from streams.ingress.requests.authentication import ApiKeyAuthenticator
from streams.pipeline.authorization import Authorizer


class ModelsEndpoint:
    """The list, and each of its entries."""

    def __init__(self, authenticator: ApiKeyAuthenticator, authorizer: Authorizer) -> None:
        self._authenticator = authenticator
        self._authorizer = authorizer

    async def list(self, http: Request) -> Response:
        """All of them, in the order of the configuration."""
        caller = self._authenticator.authenticate(dict(http.scope["headers"]))
        names = self._authorizer.allowed_models(caller.tenant, caller.key_id)
        return _json({"object": "list", "data": [_document(name) for name in names]})

    async def get(self, http: Request) -> Response:
        """One of them.

        Raises:
            RefusedError: 404, there is none of this name, or this caller may not use it: which, is not told.

        """
        caller = self._authenticator.authenticate(dict(http.scope["headers"]))
        name = http.path_params["model"]
        if name not in self._authorizer.allowed_models(caller.tenant, caller.key_id):
            message = "There is no model of this name for you; GET /v1/models lists those that there are."
            raise ApiError(
                Failure(status=404, type=INVALID_REQUEST_ERROR, code="model_not_found", message=message, param="model")
            )
        return _json(_document(name))


def _document(name: str) -> dict[str, object]:
    """OpenAI's shape. It asks for a time of creation; a line of configuration has none."""
    return {"id": name, "object": "model", "created": 0, "owned_by": "sluice"}


def _json(document: dict[str, object]) -> Response:
    return Response(orjson.dumps(document), media_type="application/json")
