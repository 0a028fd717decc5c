"""Reply to a caller: its record and headers."""

from __future__ import annotations

import dataclasses

from connectors.kafka.clients.producer import MAX_RECORD_BYTES
from schemas.events.catalog import RequestSettled
from schemas.events.parts import Failure, ReplyTo
from schemas.kafka import headers
from schemas.kafka.headers import Headers
from schemas.kafka.records import ConsumerRecord, ProducerRecord
from schemas.openai.bodies import error_body
from schemas.openai.embedding_vectors import unpack_vectors, wants_float_encoding

_OK = 200


def build_reply(
    settled: RequestSettled, reply_to: ReplyTo, dead_letter_topic: str, source_record: ConsumerRecord
) -> ProducerRecord:
    """Build the reply to a request. Of the request's own headers, it only has the correlation."""
    value = b"" if settled.failure else _body(settled)
    if len(value) > MAX_RECORD_BYTES:
        settled = dataclasses.replace(settled, outcome="failed", failure=_too_large(len(value)))
    return ProducerRecord(
        reply_to.topic,
        reply_to.key,
        error_body(settled.failure) if settled.failure else value,
        (*((header.name, header.value) for header in reply_to.correlation), *reply_headers(settled)),
        reply_to.partition,
        dead_letter_topic,
        source_record=source_record,
    )


def _body(settled: RequestSettled) -> bytes:
    """Return the answer in the encoding that its caller asked for."""
    if settled.request.operation == "embeddings" and wants_float_encoding(settled.input):
        return unpack_vectors(settled.output)
    return settled.output.encode()


def _too_large(size: int) -> Failure:
    """Return the failure of an answer whose vectors fit into a record as base64, but not as numbers."""
    message = (
        f"the answer has {size} bytes with its vectors as numbers, and a reply holds {MAX_RECORD_BYTES}; "
        "ask for encoding_format base64, or for less at once"
    )
    return Failure(
        status=413, type="invalid_request_error", code="answer_too_large", message=message, param="encoding_format"
    )


def reply_headers(settled: RequestSettled) -> Headers:
    """Return the text headers that a caller needs before it reads the value."""
    request, failure = settled.request, settled.failure
    text_headers = {
        headers.REQUEST_ID: request.request_id,
        headers.STATUS: str(failure.status if failure else _OK),
        headers.OUTCOME: settled.outcome,
        "content-type": "application/json",
        "ce_specversion": "1.0",
        "ce_id": f"{request.request_id}/reply",
        "ce_source": "/sluice/reply",
        "ce_type": "sluice.llm.reply.v1",
        "ce_time": headers.rfc3339(settled.settled_at),
    }
    if failure:
        text_headers[headers.ERROR] = failure.code
    if failure and failure.retry_after_ms is not None:
        text_headers[headers.RETRY_AFTER] = str(failure.retry_after_ms)
    if request.stream_topic:
        text_headers[headers.STREAMED] = "true"
    if settled.provider:
        text_headers[headers.SERVED_BY] = f"{settled.provider}/{settled.provider_model}"
    if request.traceparent:
        text_headers["traceparent"] = request.traceparent
    return tuple((name, value.encode()) for name, value in text_headers.items())
