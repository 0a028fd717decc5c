"""``GET /v1/requests/{id}/stream``: resumption of a stream after a lost connection."""

from __future__ import annotations

import re
from collections.abc import AsyncIterator

from starlette.requests import Request
from starlette.responses import Response, StreamingResponse

from schemas.events.parts import Failure
from streams.ingress.endpoints.requests import canonical
from streams.ingress.errors import INVALID_REQUEST_ERROR, ApiError, bad_request
from streams.ingress.replies.sse import HEADERS as STREAM_HEADERS
from streams.ingress.replies.sse import SafeEvents
from streams.ingress.replies.stream_buffer import StreamBuffer, StreamBuffers
from streams.ingress.requests.authentication import ApiKeyAuthenticator
from streams.ingress.requests.single_headers import HEADERS

_NUMBER = re.compile(r"-?[0-9]{1,18}")


class ResumeEndpoint:
    """Sends the chunks after a given number. Chunks are kept for ten minutes."""

    def __init__(self, authenticator: ApiKeyAuthenticator, streams: StreamBuffers) -> None:
        self._authenticator = authenticator
        self._streams = streams

    async def get(self, http: Request) -> Response:
        """Continue after ``Last-Event-ID`` or ``?after=``, or from the beginning without either.

        Raises:
            ApiError: 404, this instance has no such stream of the caller's tenant; 400, the number is invalid.

        """
        caller = self._authenticator.authenticate(http.scope[HEADERS])
        request_id = canonical(http.path_params["request_id"])
        after = http.headers.get("last-event-id") or http.query_params.get("after") or "-1"
        if not _NUMBER.fullmatch(after):
            raise bad_request("invalid_header", "Last-Event-ID must be the number of a chunk.")
        stream = self._streams.find(request_id, caller.tenant)
        if stream is None:
            message = (
                f"Stream of request {request_id} not found. GET /v1/requests/{request_id} returns the whole answer."
            )
            raise ApiError(
                Failure(status=404, type=INVALID_REQUEST_ERROR, code="stream_not_found", message=message, param="id")
            )

        headers = {name.decode(): value.decode() for name, value in STREAM_HEADERS}
        return StreamingResponse(_events_after(stream, int(after)), headers=headers)


async def _events_after(stream: StreamBuffer, after: int) -> AsyncIterator[bytes]:
    """Yield the events after a chunk. The writer receives every chunk from the first on, because it may keep state."""
    events = SafeEvents(stream)
    async for number, chunk in stream.after(-1):
        event = events.event(number, chunk)
        if number > after and event:
            yield event
    yield events.last(stream.failure)
