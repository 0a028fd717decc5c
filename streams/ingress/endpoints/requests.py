"""``GET /v1/requests/{id}``: state and answer of a request, for callers that poll."""

from __future__ import annotations

import uuid
from collections.abc import Awaitable, Callable

from starlette.requests import Request
from starlette.responses import Response

from schemas.events.parts import Failure
from streams.ingress.errors import INVALID_REQUEST_ERROR, ApiError
from streams.ingress.replies.cache import CachedReply, ReplyCache
from streams.ingress.requests.authentication import ApiKeyAuthenticator
from streams.ingress.requests.single_headers import HEADERS

Lookup = Callable[[str, str], Awaitable[CachedReply | None]]
"""Returns the recorded reply for a tenant and a request id. Raises ApiError if ClickHouse does not answer."""


class PollingEndpoint:
    """Reads the cache of this instance, then ClickHouse. A tenant sees only its own requests."""

    def __init__(self, authenticator: ApiKeyAuthenticator, reply_cache: ReplyCache, lookup: Lookup) -> None:
        self._authenticator = authenticator
        self._reply_cache = reply_cache
        self._lookup = lookup

    async def get(self, http: Request) -> Response:
        """Return the request as JSON.

        Raises:
            ApiError: 404, the tenant has no such request, or it is not recorded yet.

        """
        caller = self._authenticator.authenticate(http.scope[HEADERS])
        request_id = canonical(http.path_params["request_id"])
        reply = self._reply_cache.get(request_id, caller.tenant) or await self._lookup(caller.tenant, request_id)
        if reply is None:
            raise _unknown(request_id)
        headers = {} if reply.outcome else {"Retry-After": "1"}
        return Response(reply.document(), headers=headers, media_type="application/json")


def canonical(request_id: str) -> str:
    """Return a request id in its canonical form.

    Raises:
        ApiError: 404, it is not a UUID, so there is no such request.

    """
    try:
        return str(uuid.UUID(request_id))
    except ValueError:
        raise _unknown("") from None


def _unknown(request_id: str) -> ApiError:
    message = (
        f"Request {request_id} not found (or belongs to another tenant)." if request_id else "A request id is a UUID."
    )
    return ApiError(
        Failure(status=404, type=INVALID_REQUEST_ERROR, code="request_not_found", message=message, param="id")
    )
