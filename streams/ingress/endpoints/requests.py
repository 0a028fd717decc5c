"""``GET /v1/requests/{id}``: what became of a request that its caller did not wait for."""

from __future__ import annotations

import uuid
from collections.abc import Awaitable, Callable

from starlette.requests import Request
from starlette.responses import Response

from schemas.events.parts import Failure
from streams.ingress.errors import INVALID_REQUEST_ERROR, ApiError
from streams.ingress.replies.cache import CachedReply, ReplyCache
from streams.ingress.requests.authentication import ApiKeyAuthenticator

Lookup = Callable[[str, str], Awaitable[CachedReply | None]]
"""Tenant and request id to what ClickHouse knows. Raises RefusedError if it can't be asked."""


class PollingEndpoint:
    """Asks this instance's memory, then ClickHouse. A tenant learns of its own requests only."""

    def __init__(self, keyring: ApiKeyAuthenticator, answers: ReplyCache, lookup: Lookup) -> None:
        self._keyring = keyring
        self._answers = answers
        self._lookup = lookup

    async def get(self, http: Request) -> Response:
        """The request as JSON.

        Raises:
            RefusedError: 404 the tenant has no such request, or none that is recorded yet.

        """
        caller = self._keyring.authenticate(dict(http.scope["headers"]))
        request_id = canonical(http.path_params["request_id"])
        answer = self._answers.get(request_id, caller.tenant) or await self._lookup(caller.tenant, request_id)
        if answer is None:
            raise _unknown(request_id)
        headers = {} if answer.outcome else {"Retry-After": "1"}
        return Response(answer.document(), headers=headers, media_type="application/json")


def canonical(request_id: str) -> str:
    """A request id as it stands on the log.

    Raises:
        RefusedError: 404, it is no UUID, so there is no such request.

    """
    try:
        return str(uuid.UUID(request_id))
    except ValueError:
        raise _unknown("") from None


def _unknown(request_id: str) -> ApiError:
    message = f"There is no request {request_id} of yours." if request_id else "A request id is a UUID."
    return ApiError(
        Failure(status=404, type=INVALID_REQUEST_ERROR, code="request_not_found", message=message, param="id")
    )
