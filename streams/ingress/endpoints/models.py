"""``GET /v1/models``: the configured models that this caller may use. Other models of a provider are not listed."""

from __future__ import annotations

import orjson
from starlette.requests import Request
from starlette.responses import Response

from schemas.events.parts import Failure
from streams.ingress.errors import INVALID_REQUEST_ERROR, ApiError
from streams.ingress.requests.authentication import ApiKeyAuthenticator
from streams.ingress.requests.single_headers import HEADERS
from streams.pipeline.authorization import Authorizer


class ModelsEndpoint:
    """Lists models, and returns single ones."""

    def __init__(self, authenticator: ApiKeyAuthenticator, authorizer: Authorizer) -> None:
        self._authenticator = authenticator
        self._authorizer = authorizer

    async def list(self, http: Request) -> Response:
        """Return all models, in the order of the configuration."""
        caller = self._authenticator.authenticate(http.scope[HEADERS])
        names = self._authorizer.allowed_models(caller.tenant, caller.key_id)
        return _json({"object": "list", "data": [_document(name) for name in names]})

    async def get(self, http: Request) -> Response:
        """Return one model.

        Raises:
            ApiError: 404, the model is not configured or not allowed for this caller. The error does not say which.

        """
        caller = self._authenticator.authenticate(http.scope[HEADERS])
        name = http.path_params["model"]
        if name not in self._authorizer.allowed_models(caller.tenant, caller.key_id):
            message = "Model not found. GET /v1/models lists the models of this key."
            raise ApiError(
                Failure(status=404, type=INVALID_REQUEST_ERROR, code="model_not_found", message=message, param="model")
            )
        return _json(_document(name))


def _document(name: str) -> dict[str, object]:
    """Return OpenAI's model object. ``created`` is 0, because a configured name has no time of creation."""
    return {"id": name, "object": "model", "created": 0, "owned_by": "sluice"}


def _json(document: dict[str, object]) -> Response:
    return Response(orjson.dumps(document), media_type="application/json")
