"""One call to a provider, with its timeout: returns the answer or the error, and forwards the chunks of a stream."""

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
    provider: Provider, execution: PlanExecution, started: AttemptStarted, timeout_s: float, dead_letter_topic: str
) -> ProviderAnswer | ProviderError:
    """Call a provider within the timeout. Every exception but a cancellation is returned as an error."""
    if timeout_s <= 0:
        return ProviderError("timeout", "writing to Kafka took so long that no time was left for the call")
    call = ProviderCall(
        request_id=execution.request_id,
        operation=execution.routed.request.operation,
        model=started.model,
        body=execution.body,
        timeout_s=timeout_s,
        stream=bool(execution.stream_topic),
        on_oversize=execution.routed.plan.on_oversize,
    )
    try:
        async with asyncio.timeout(timeout_s):
            if not call.stream:
                return await provider.complete(call)
            return await _stream(provider, call, execution, started, dead_letter_topic)
    except ProviderError as error:
        return error
    except TimeoutError:
        return ProviderError("timeout", f"no answer within {timeout_s:.3g} s")
    except Exception as error:  # noqa: BLE001 - a bug in a provider's adapter must not leave the request without an end
        frame = traceback.extract_tb(error.__traceback__)[-1]
        location = f"{frame.filename}:{frame.lineno}"
        log.error("provider_adapter.crashed", request_id=execution.request_id, error=type(error).__name__, at=location)
        return ProviderError("server", f"the gateway's adapter failed ({type(error).__name__})")


async def _stream(
    provider: Provider, call: ProviderCall, execution: PlanExecution, started: AttemptStarted, dead_letter_topic: str
) -> ProviderAnswer:
    """Forward the chunks of a stream, and read it to its end even if the client has disconnected."""
    include_usage = wants_usage(execution.body)
    writer = ChunkWriter(
        started.request, started.attempt, execution.emit, dead_letter_topic, include_usage=include_usage
    )
    try:
        return await forward_stream(provider, call, writer)
    finally:
        execution.chunks_forwarded += writer.forwarded
        await writer.close()
