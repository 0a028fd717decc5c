"""Events of the attempts at a request, and the end of the request that follows from them."""

from __future__ import annotations

import math
from typing import Any

import orjson

from connectors.providers.provider import ProviderAnswer, ProviderError
from schemas.codegen.frozen_dataclass import frozen_slots
from schemas.events.catalog import AttemptFinished, AttemptStarted, AttemptWithdrawn, RequestRouted, RequestSettled
from schemas.events.parts import Failure, Request
from schemas.events.vocabulary import Outcome
from schemas.kafka.topics import MAX_ANSWER_BYTES
from schemas.openai.embedding_vectors import pack_vectors
from streams.call.pricing import PriceBook
from streams.pipeline.settlement import CallResult, settle


@frozen_slots
class RequestEnd:
    """Final state of a request."""

    request: Request
    outcome: Outcome
    failure: Failure | None
    attempts: tuple[AttemptFinished, ...]
    settled_at: int
    fingerprint: str = ""
    """Fingerprint of the body; empty unless the caller named its request."""

    @property
    def size(self) -> int:
        """Approximate memory in bytes."""
        return 1000 + sum(1000 + len(attempt.body) for attempt in self.attempts)


def to_finished_event(
    started: AttemptStarted, result: ProviderAnswer | ProviderError, finished_at: int, prices: PriceBook
) -> AttemptFinished:
    """Return the event of a finished attempt, with its cost: a failed attempt may have a cost, too.

    Args:
        started: the event of its start.
        result: of the call.
        finished_at: milliseconds since the epoch.
        prices: of all models.

    """
    if isinstance(result, ProviderAnswer):
        body = orjson.dumps(pack_vectors(result.body) if started.request.operation == "embeddings" else result.body)
        if len(body) <= MAX_ANSWER_BYTES:
            return _finished_event(started, result, finished_at, prices, _answer_fields(result, body))
        result = _too_large_error(result, len(body))
    return _finished_event(started, result, finished_at, prices, _error_fields(result))


def to_withdrawn_event(started: AttemptStarted, withdrawn_at: int) -> AttemptWithdrawn:
    """Return the event that withdraws an attempt whose call was not made; the time is in ms since the epoch."""
    return AttemptWithdrawn(
        request=started.request,
        attempt=started.attempt,
        provider=started.provider,
        model=started.model,
        worker=started.worker,
        withdrawn_at=withdrawn_at,
    )


def _finished_event(
    started: AttemptStarted,
    result: ProviderAnswer | ProviderError,
    finished_at: int,
    prices: PriceBook,
    fields: dict[str, Any],
) -> AttemptFinished:
    """Join the fields of every finished attempt with those that only an answer or only an error has."""
    response_model = result.response_model if isinstance(result, ProviderAnswer) else ""
    cost = prices.price(started.provider, started.model, result.usage, response_model)
    return AttemptFinished(
        request=started.request,
        attempt=started.attempt,
        provider=started.provider,
        model=started.model,
        worker=started.worker,
        started_at=started.started_at,
        finished_at=finished_at,
        http_status=result.http_status,
        usage=result.usage,
        cost_usd=None if cost is None else f"{cost:f}",
        key_index=result.key_index,
        sent=result.sent.decode(),
        changes=result.changes,
        **fields,
    )


def _answer_fields(answer: ProviderAnswer, body: bytes) -> dict[str, Any]:
    return {
        "body": body.decode(),
        "response_id": answer.response_id,
        "response_model": answer.response_model,
        "finish_reasons": answer.finish_reasons,
        "native_usage": orjson.dumps(answer.native_usage).decode() if answer.native_usage is not None else "",
    }


def _error_fields(error: ProviderError) -> dict[str, Any]:
    retry_after_s = error.retry_after_s
    return {
        "error_type": error.error_type,
        "error_message": error.message,
        "error_param": error.param,
        "body": orjson.dumps(error.partial).decode() if error.partial and error.partial["choices"] else "",
        "retry_after_ms": None if retry_after_s is None else math.ceil(retry_after_s * 1000),
        "another_key": error.retry_with_other_key,
    }


def _too_large_error(answer: ProviderAnswer, size: int) -> ProviderError:
    """Return the error of an answer that no record holds. No retry: it would cost the same and be as large."""
    message = f"it has {size} bytes, and a record holds {MAX_ANSWER_BYTES}; ask for less at once"
    error = ProviderError("answer_too_large", message, http_status=answer.http_status)
    error.usage, error.key_index = answer.usage, answer.key_index
    error.sent, error.changes = answer.sent, answer.changes
    return error


def unwritable_errors(result: ProviderAnswer | ProviderError) -> tuple[ProviderError, ProviderError]:
    """Return the errors that stand for a result that can't be written: with its usage, and with nothing of it.

    JSON that is nested deeper than 254 levels can be read but not written, and a number may exceed its field.
    """
    message = "the provider's response can't be recorded, for example because it is nested too deeply"
    paid, bare = (ProviderError("server", message) for _ in range(2))
    paid.http_status, paid.usage, paid.key_index = result.http_status, result.usage, result.key_index
    paid.sent, paid.changes = result.sent, result.changes
    return paid, bare


def to_settled_event(routed: RequestRouted, end: RequestEnd, now: int) -> RequestSettled:
    """Return the outcome of a request that has ended, now or at an earlier delivery or request of its caller.

    A redelivery gets the same outcome again. A retry by the caller, which was received at another time or has another
    reply address, gets it as a replay: an outcome with its own times, which is replied to but not counted.
    """
    is_replay = is_client_retry(routed.request, end.request)
    call_result = CallResult(replayed=is_replay)
    if end.attempts:
        last = end.attempts[-1]
        call_result |= {
            "provider": last.provider,
            "provider_model": last.model,
            "attempts": last.attempt,
            "called_at": None if is_replay else end.attempts[0].started_at,
        }
    if end.outcome == "answered":
        call_result |= {
            "output": last.body,
            "response_id": last.response_id,
            "response_model": last.response_model,
            "finish_reasons": last.finish_reasons,
            "usage": last.usage,
            "cost_usd": last.cost_usd,
            "answered_at": None if is_replay else last.finished_at,
        }
    return settle(routed, end.outcome, end.failure, now if is_replay else end.settled_at, call_result=call_result)


def is_client_retry(request: Request, first: Request) -> bool:
    """Return whether the caller sent the request again, rather than Kafka having delivered the same one again."""
    return request is not first and (request.received_at != first.received_at or request.reply_to != first.reply_to)
