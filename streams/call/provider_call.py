"""One call to a provider: its answer or its error comes back, whatever happens, and its chunks go on as they come."""

from __future__ import annotations

import asyncio
import traceback

import structlog

from connectors.providers.provider import Provider, ProviderAnswer, ProviderCall, ProviderError
from schemas.events.catalog import AttemptStarted
from streams.call.chunk_writer import ChunkWriter, forward_stream
from streams.call.plan_execution import PlanExecution
from streams.call.request_body import wants_usage

log = structlog.get_logger()


async def call_provider(
    provider: Provider, walk: PlanExecution, started: AttemptStarted, timeout_s: float, else_dead_letter: str
) -> ProviderAnswer | ProviderError:
    """Call a provider for a request, within this time."""
    if timeout_s <= 0:
        return ProviderError("timeout", "the log took so long that no time was left for the call")
    call = ProviderCall(
        request_id=walk.request_id,
        operation=walk.routed.request.operation,
        model=started.model,
        body=walk.body,
        timeout_s=timeout_s,
        stream=bool(walk.stream_topic),
        on_oversize=walk.routed.plan.on_oversize,
    )
    try:
        async with asyncio.timeout(timeout_s):
            if not call.stream:
                return await provider.complete(call)
            return await _stream(provider, call, walk, started, else_dead_letter)
    except ProviderError as error:
        return error
    except TimeoutError:
        return ProviderError("timeout", f"no answer within {timeout_s:.3g} s")
    except Exception as error:  # noqa: BLE001 - a fault in a provider's adapter must not cost the request its end
        place = traceback.extract_tb(error.__traceback__)[-1]
        at = f"{place.filename}:{place.lineno}"
        log.error("provider adapter failed", request_id=walk.request_id, error=type(error).__name__, at=at)
        return ProviderError("server", f"the gateway's adapter failed ({type(error).__name__})")


async def _stream(
    provider: Provider, call: ProviderCall, walk: PlanExecution, started: AttemptStarted, else_dead_letter: str
) -> ProviderAnswer:
    """Hand the chunks on as they come, and drain the stream to its end whether or not anybody listens."""
    usage = wants_usage(walk.body)
    writer = ChunkWriter(started.request, started.attempt, walk.emit, else_dead_letter, usage=usage)
    try:
        return await forward_stream(provider, call, writer)
    finally:
        walk.chunks_forwarded += writer.forwarded
        await writer.close()
