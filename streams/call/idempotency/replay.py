"""Idempotent replay: a repeated request gets the recorded end, and another body under the same name is refused."""

from __future__ import annotations

import dataclasses

import orjson

from connectors.providers.wire.chunk_assembly import split_into_chunks
from schemas.events.catalog import RequestRouted
from streams.call.attempts import RequestEnd, is_client_retry
from streams.call.chunk_writer import ChunkWriter
from streams.call.idempotency.fingerprint import fingerprint
from streams.call.request_body import parse_body, wants_usage
from streams.pipeline.failures import IDEMPOTENCY_KEY_REUSED
from streams.pipeline.stage import Emit


def end_for_repeat(routed: RequestRouted, end: RequestEnd) -> RequestEnd:
    """Return the end of a request that has ended before.

    A redelivery gets the recorded end whatever its body is: only a caller can send another body under the same name.
    """
    if not end.fingerprint or not is_client_retry(routed.request, end.request):
        return end
    if end.fingerprint == fingerprint(routed, parse_body(routed)):
        return end
    return dataclasses.replace(end, outcome="refused", failure=IDEMPOTENCY_KEY_REUSED, attempts=())


async def replay_stream(routed: RequestRouted, end: RequestEnd, emit: Emit, dead_letter_topic: str) -> None:
    """Write the chunks of a recorded answer, if a retry by the caller asks for a stream."""
    is_retry = is_client_retry(routed.request, end.request)
    if not routed.request.stream_topic or end.outcome != "answered" or not is_retry:
        return
    last = end.attempts[-1]
    include_usage = wants_usage(parse_body(routed))
    writer = ChunkWriter(routed.request, last.attempt, emit, dead_letter_topic, include_usage=include_usage)
    try:
        for chunk in split_into_chunks(orjson.loads(last.body)):
            writer.write(chunk)
    finally:
        await writer.close()
