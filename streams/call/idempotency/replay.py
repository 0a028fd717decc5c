"""A request that comes again after its end: the same question gets the same end, another one under its name none."""

from __future__ import annotations

import dataclasses

import orjson

from connectors.providers.wire.chunk_assembly import split_into_chunks
from schemas.events.catalog import RequestRouted
from streams.call.attempts import RequestEnd, is_client_retry
from streams.call.chunk_writer import ChunkWriter
from streams.call.idempotency.fingerprint import fingerprint
from streams.call.request_body import body_for_target, wants_usage
from streams.pipeline.failures import IDEMPOTENCY_KEY_REUSED
from streams.pipeline.stage import Emit


def end_for_repeat(routed: RequestRouted, end: RequestEnd) -> RequestEnd:
    """Say how a request ends that had this end before.

    The log's own redelivery gets it whatever it says: only a caller can ask for something else under the same name.
    """
    if not end.fingerprint or not is_client_retry(routed.request, end.request):
        return end
    if end.fingerprint == fingerprint(routed, body_for_target(routed)):
        return end
    return dataclasses.replace(end, outcome="refused", failure=IDEMPOTENCY_KEY_REUSED, attempts=())


async def replay_stream(routed: RequestRouted, end: RequestEnd, emit: Emit, else_dead_letter: str) -> None:
    """Write the chunks of a recorded answer, if this caller wants chunks and has not had them."""
    wanted = routed.request.stream_topic and end.outcome == "answered" and is_client_retry(routed.request, end.request)
    if not wanted:
        return
    last = end.attempts[-1]
    usage = wants_usage(body_for_target(routed))
    writer = ChunkWriter(routed.request, last.attempt, emit, else_dead_letter, usage=usage)
    try:
        for chunk in split_into_chunks(orjson.loads(last.body)):
            writer.write(chunk)
    finally:
        await writer.close()
