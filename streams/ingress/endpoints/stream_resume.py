"""Moved out of streams/ingress/replies/sse.py."""

from __future__ import annotations

import re
from collections.abc import AsyncIterator

from starlette.requests import Request
from starlette.responses import Response, StreamingResponse

from schemas.events.parts import Failure
from streams.ingress.endpoints.requests import canonical
from streams.ingress.errors import INVALID_REQUEST_ERROR, ApiError, bad_request
from streams.ingress.replies.sse import HEADERS
from streams.ingress.replies.stream_buffer import StreamBuffer, StreamBuffers
from streams.ingress.requests.authentication import ApiKeyAuthenticator

_NUMBER = re.compile(r"-?[0-9]{1,18}")


class ResumeEndpoint:
    """``GET /v1/requests/{id}/stream``: the chunks behind a number, for who lost the line. Kept for ten minutes."""

    def __init__(self, keyring: ApiKeyAuthenticator, streams: StreamBuffers) -> None:
        self._keyring = keyring
        self._streams = streams

    async def get(self, http: Request) -> Response:
        """Go on after ``Last-Event-ID`` or ``?after=``; from the beginning without either.

        Raises:
            RefusedError: 404 this instance has no such stream of the caller's tenant, 400 the number is none.

        """
        caller = self._keyring.authenticate(dict(http.scope["headers"]))
        request_id = canonical(http.path_params["request_id"])
        after = http.headers.get("last-event-id") or http.query_params.get("after") or "-1"
        if not _NUMBER.fullmatch(after):
            raise bad_request("invalid_header", "Last-Event-ID must be the number of a chunk.")
        stream = self._streams.find(request_id, caller.tenant)
        if stream is None:
            message = f"There is no stream of request {request_id} here; GET /v1/requests/{request_id} has its end."
            raise ApiError(
                Failure(status=404, type=INVALID_REQUEST_ERROR, code="stream_not_found", message=message, param="id")
            )

        headers = {name.decode(): value.decode() for name, value in HEADERS}
        return StreamingResponse(_from(stream, int(after)), headers=headers)


async def _from(stream: StreamBuffer, after: int) -> AsyncIterator[bytes]:
    """Write what comes behind a chunk; a writer needs all from the first on, since some count what they have said."""
    events = stream.writer()
    async for number, chunk in stream.after(-1):
        written = events.event(number, chunk)
        if number > after and written:
            yield written
    yield events.last(stream.failure)
