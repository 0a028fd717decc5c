"""Request id of a record on a request topic: the same for every process and at every delivery."""

from __future__ import annotations

from schemas.avro.codec import UndecodableError, decode, is_framed
from schemas.events.catalog import RequestReceived
from schemas.events.request_id import is_request_id, named_request_id, recorded_request_id
from schemas.kafka.headers import BadHeaderError
from schemas.kafka.records import ConsumerRecord
from schemas.kafka.request_headers import read_idempotency_key
from schemas.kafka.topics import Topics
from streams.config.settings import ANONYMOUS_TENANT


def request_id_of(record: ConsumerRecord, topics: Topics) -> str:
    """Return the request id of a record: from its event, else from its idempotency key, else from its position."""
    return identify(record, _event(record), topics)


def identify(record: ConsumerRecord, event: RequestReceived | None, topics: Topics) -> str:
    """Return the request id of a record whose event, if it holds one, is decoded already.

    On a tenant's topic the id in an event is an idempotency key within that tenant. So no tenant can use the id of
    another tenant's request and receive its answer.
    """
    owner = topics.owner_of(record.topic)
    if event is None:
        return derive_request_id(record, owner or ANONYMOUS_TENANT, _idempotency_key(record))
    if owner is None and is_request_id(event.request.request_id):
        return event.request.request_id
    return derive_request_id(record, owner or ANONYMOUS_TENANT, event.request.request_id)


def derive_request_id(record: ConsumerRecord, tenant: str, idempotency_key: str) -> str:
    """Return the id that belongs to an idempotency key, or to the record's position if there is no key."""
    if idempotency_key:
        return named_request_id(tenant, idempotency_key)
    return recorded_request_id(record.topic, record.partition, record.offset, record.timestamp_ms)


def _event(record: ConsumerRecord) -> RequestReceived | None:
    if not is_framed(record.value or b""):
        return None
    try:
        event = decode(record.value or b"")
    except UndecodableError:
        return None
    return event if isinstance(event, RequestReceived) else None


def _idempotency_key(record: ConsumerRecord) -> str:
    try:
        return read_idempotency_key(record.headers)
    except BadHeaderError:
        return ""
