"""The attempts at a request: their events, and the end that they add up to."""

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
    """How a request ended."""

    request: Request
    outcome: Outcome
    failure: Failure | None
    attempts: tuple[AttemptFinished, ...]
    settled_at: int
    fingerprint: str = ""
    """A fingerprint of what was asked; empty unless the caller named its request."""

    @property
    def size(self) -> int:
        """About how many bytes it takes to remember this."""
        return 1000 + sum(1000 + len(attempt.body) for attempt in self.attempts)


def to_finished_event(
    started: AttemptStarted, result: ProviderAnswer | ProviderError, finished_at: int, prices: PriceBook
) -> AttemptFinished:
    """Say how an attempt ended, and what it cost: also one that failed may be paid for.

    Args:
        started: how it began.
        result: what came back.
        finished_at: milliseconds since the epoch.
        prices: what an answer costs.

    """
    if isinstance(result, ProviderAnswer):
        body = orjson.dumps(pack_vectors(result.body) if started.request.operation == "embeddings" else result.body)
        if len(body) <= MAX_ANSWER_BYTES:
            return _finished_fields(started, result, finished_at, prices, _answered_event(result, body))
        result = _too_large_event(result, len(body))
    return _finished_fields(started, result, finished_at, prices, _failed_event(result))


def to_withdrawn_event(started: AttemptStarted, withdrawn_at: int) -> AttemptWithdrawn:
    """Take an attempt back that was not made, at this time in milliseconds since the epoch."""
    return AttemptWithdrawn(
        request=started.request,
        attempt=started.attempt,
        provider=started.provider,
        model=started.model,
        worker=started.worker,
        withdrawn_at=withdrawn_at,
    )


def _finished_fields(
    started: AttemptStarted,
    result: ProviderAnswer | ProviderError,
    finished_at: int,
    prices: PriceBook,
    fields: dict[str, Any],
) -> AttemptFinished:
    """Put together what every end has, and what only an answer or an error has."""
    answered_by = result.response_model if isinstance(result, ProviderAnswer) else ""
    cost = prices.price(started.provider, started.model, result.usage, answered_by)
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


def _answered_event(answer: ProviderAnswer, body: bytes) -> dict[str, Any]:
    return {
        "body": body.decode(),
        "response_id": answer.response_id,
        "response_model": answer.response_model,
        "finish_reasons": answer.finish_reasons,
        "native_usage": orjson.dumps(answer.native_usage).decode() if answer.native_usage is not None else "",
    }


def _failed_event(error: ProviderError) -> dict[str, Any]:
    hint_s = error.retry_after_s
    return {
        "error_type": error.error_type,
        "error_message": error.message,
        "error_param": error.param,
        "body": orjson.dumps(error.partial).decode() if error.partial and error.partial["choices"] else "",
        "retry_after_ms": None if hint_s is None else math.ceil(hint_s * 1000),
        "another_key": error.retry_with_other_key,
    }


def _too_large_event(answer: ProviderAnswer, size: int) -> ProviderError:
    """Not to be asked for again, here or elsewhere: it would cost the same and be as large."""
    message = f"it has {size} bytes, and a record holds {MAX_ANSWER_BYTES}; ask for less at once"
    error = ProviderError("answer_too_large", message, http_status=answer.http_status)
    error.usage, error.key_index = answer.usage, answer.key_index
    error.sent, error.changes = answer.sent, answer.changes
    return error


def to_settled_event(routed: RequestRouted, end: RequestEnd, now: int) -> RequestSettled:
    """Settle a request as it ended, be it now, at an earlier delivery of it, or when its caller first asked.

    A redelivery of the same request gets the same outcome again. A repeat by its caller, which came in at another
    time or waits elsewhere, gets it as a replay: a new outcome with its own times, to be replied to but not counted.
    """
    replayed = is_client_retry(routed.request, end.request)
    called = CallResult(replayed=replayed)
    if end.attempts:
        last = end.attempts[-1]
        called |= {
            "provider": last.provider,
            "provider_model": last.model,
            "attempts": last.attempt,
            "called_at": None if replayed else end.attempts[0].started_at,
        }
    if end.outcome == "answered":
        called |= {
            "output": last.body,
            "response_id": last.response_id,
            "response_model": last.response_model,
            "finish_reasons": last.finish_reasons,
            "usage": last.usage,
            "cost_usd": last.cost_usd,
            "answered_at": None if replayed else last.finished_at,
        }
    return settle(routed, end.outcome, end.failure, now if replayed else end.settled_at, called=called)


def is_client_retry(request: Request, first: Request) -> bool:
    """Whether the caller asked again, rather than the log having delivered its one request again."""
    return request is not first and (request.received_at != first.received_at or request.reply_to != first.reply_to)
