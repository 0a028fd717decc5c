"""The id of a request, however its record is read."""

from __future__ import annotations

from schemas.avro.codec import UndecodableError, decode, is_framed
from schemas.events.catalog import RequestReceived
from schemas.events.request_id import is_request_id, named_request_id, recorded_request_id
from schemas.kafka import headers
from schemas.kafka.headers import BadHeaderError
from schemas.kafka.records import ConsumerRecord
from schemas.kafka.topics import Topics
from streams.config.settings import ANONYMOUS_TENANT


def request_id_of(record: ConsumerRecord, topics: Topics) -> str:
    """The request's id, the same whoever reads the record: what its event says, else of its name, else of its place."""
    return identify(record, _event(record), topics)


def identify(record: ConsumerRecord, event: RequestReceived | None, topics: Topics) -> str:
    """The same, for who has read the record's event already; None if it holds none.

    A tenant that writes our events itself names its request with the id in them, within its own names: so no tenant
    can take the id of another's request, and be answered with its answer.
    """
    tenant = topics.owner_of(record.topic)
    if event is not None and tenant is None and is_request_id(event.request.request_id):
        return event.request.request_id
    name = event.request.request_id if event is not None else _name(record)
    if name:
        return named_request_id(tenant or ANONYMOUS_TENANT, name)
    return recorded_request_id(record.topic, record.partition, record.offset, record.timestamp_ms)


def _event(record: ConsumerRecord) -> RequestReceived | None:
    if not is_framed(record.value or b""):
        return None
    try:
        event = decode(record.value or b"")
    except UndecodableError:
        return None
    return event if isinstance(event, RequestReceived) else None


def _name(record: ConsumerRecord) -> str:
    try:
        return headers.request_name(record.headers)
    except BadHeaderError:
        return ""
