"""A record as rows: always one for ``events_log``, and one for ``requests_log`` if it is the end of a request.

Pure, and the same for the same record however often it is read: that is what makes storing it twice harmless.
"""

from __future__ import annotations

import struct

from schemas import headers as wire
from schemas.codec import UndecodableError, decode, is_framed
from schemas.events import Event, RequestReceived, RequestSettled
from schemas.fixed import fixed
from schemas.records import Record
from schemas.stages import STAGES
from schemas.topics import Topics
from streams.columns import EVENTS, REQUESTS, Row
from streams.facts import facts
from streams.reception import identified
from streams.settings import OPEN_TENANT
from streams.told import Facts, actions, asked, counted, trace_id

VERSIONS = 2**64 - 1
"""From here a row's version falls with its offset, so that of two ends of a request the first on the log stays."""

_SOURCES: dict[bytes | None, str] = {f"/sluice/{stage}".encode(): stage for stage in (*STAGES, "ingress")}
"""What our own events say in ``ce_source``: see ``schemas.headers.cloudevent``."""
_INT, _LONG = struct.Struct(">i"), struct.Struct(">q")


@fixed
class Rows:
    """What one record becomes, in the order of ``EVENTS`` and ``REQUESTS``."""

    event: Row
    request: Row | None = None


class RowMaker:
    """Makes rows, knowing which topics are whose.

    Of the request topics and their dead letters nothing is kept that a caller has written, in the body, the headers or
    the event around it: only the filter may read it. Its names appear with the first event after the filter.
    """

    def __init__(self, topics: Topics) -> None:
        self._topics = topics
        self._tenants = frozenset(topics.tenant_requests) | {OPEN_TENANT}
        self._requests = {topic.name for topic in topics.all_requests}
        self._dead = {topic.dead_letters: topic.name for topic in topics.all}
        self._reader = {topic.name: stage for stage in STAGES[:-1] for topic in topics.read_by(stage)}

    def rows(self, record: Record) -> Rows:
        """Both rows of a record. Never raises: what can't be read becomes a row that says so."""
        place = _place(record)
        if record.topic in self._dead:
            return Rows(EVENTS.row(place, self._buried(record)))
        if record.topic in self._requests:
            return Rows(EVENTS.row(place, self._arrived(record)))
        try:
            event = decode(record.value or b"")
        except UndecodableError as error:
            broken = {"event_type": "Undecodable", "attributes": {"reason": str(error)}}
            return Rows(EVENTS.row(place, broken))
        row = EVENTS.row(place, {"event_type": type(event).__name__}, facts(event), _written_by(record))
        return Rows(row, self._end(record, event))

    def stub(self, record: Record, reason: str) -> Row:
        """The row of a record whose own row the table refused: that it was there, where, and why it is no more."""
        return EVENTS.row(_place(record), {"event_type": "Unstorable", "attributes": {"reason": reason}})

    def _arrived(self, record: Record) -> Facts:
        """A record on a request topic: our event, plain JSON, which is as good as one, or what is neither."""
        value = record.value or b""
        try:
            event = _request_in(value)
        except UndecodableError as error:
            if value and not is_framed(value):
                return self._asker(record, None) | {"event_type": "RequestReceived"}
            return self._asker(record, None) | {"event_type": "Undecodable", "attributes": {"reason": str(error)}}
        return facts(event) | self._asker(record, event) | {"event_type": "RequestReceived"}

    def _asker(self, record: Record, event: RequestReceived | None) -> Facts:
        """Who asks, told by the topic where it can be; an event may only name a tenant that there is."""
        owner = self._topics.tenant_of(record.topic)
        by_http = event is not None and owner is None and event.request.source == "http"
        named = event.request.tenant if event is not None and event.request.tenant in self._tenants else OPEN_TENANT
        return {
            "tenant": owner or named,
            "request_id": identified(record, event, self._topics),
            "trace_id": trace_id(event.request.traceparent if event is not None else _text(record, "traceparent")),
            "source": "http" if by_http else "kafka",
            "stage": "ingress" if by_http else "",
        }

    def _buried(self, record: Record) -> Facts:
        """A dead letter: what it was and why it died. Its text, if it may be kept at all, is with the original."""
        original = _original(record, self._dead[record.topic])
        try:
            event = decode(record.value or b"")
        except UndecodableError:
            event = None
        return self._of_whom(original, event) | {
            "event_type": "DeadLettered",
            "event_time": record.timestamp_ms,
            "stage": self._reader.get(original.topic, ""),
            "error_type": _text(record, "kafka_dlt-exception-fqcn"),
            "error_message": _text(record, "kafka_dlt-exception-message"),
            "attributes": {
                # again: dashboards may read no error_message, and ours quotes nothing of the record
                "reason": _text(record, "kafka_dlt-exception-message"),
                "event_type": type(event).__name__ if event else "",
                "kafka_topic": original.topic,
                "kafka_partition": str(original.partition),
                "kafka_offset": str(original.offset),
            },
        }

    def _of_whom(self, original: Record, event: Event | None) -> Facts:
        if original.topic in self._requests:
            return self._asker(original, event if isinstance(event, RequestReceived) else None)
        if event is None or isinstance(event, RequestReceived):
            return {}
        request = getattr(event, "request", None)
        return asked(request) if request else {"tenant": getattr(event, "tenant", "")}

    def _end(self, record: Record, event: Event) -> Row | None:
        ended = isinstance(event, RequestSettled) and not event.replayed and record.topic == self._topics.outcomes.name
        return REQUESTS.row(_place(record), _request(event, record)) if ended else None  # type: ignore[arg-type]


def _place(record: Record) -> Facts:
    """Where a record is, which is who it is."""
    return {
        "event_time": record.timestamp_ms,
        "event_id": f"{record.topic}/{record.partition}/{record.offset}",
        "bytes": len(record.value or b""),
        "kafka_topic": record.topic,
        "kafka_partition": record.partition,
        "kafka_offset": record.offset,
    }


def _request(event: RequestSettled, record: Record) -> Facts:
    """The fat row of a settled request."""
    request, failure = event.request, event.failure
    return (
        asked(request)
        | counted(event.usage)
        | {
            "received_at": request.received_at,
            "request_model": event.model,
            "provider": event.provider,
            "provider_model": event.provider_model,
            "response_model": event.response_model,
            "response_id": event.response_id,
            "outcome": event.outcome,
            "error_type": failure.code if failure else "",
            "error_message": failure.message if failure else "",
            "http_status": failure.status if failure else 200,
            "attempts": event.attempts,
            "cost_usd": event.cost_usd,
            "finish_reasons": event.finish_reasons,
            "policy_actions": actions(event.actions),
            "labels": event.labels,
            "admitted_at": event.admitted_at,
            "routed_at": event.routed_at,
            "called_at": event.called_at,
            "answered_at": event.answered_at,
            "settled_at": event.settled_at,
            "deadline_at": request.deadline_at,
            "duration_ms": event.settled_at - request.received_at,
            "filter_ms": _between(request.received_at, event.admitted_at),
            "route_ms": _between(event.admitted_at, event.routed_at),
            "queue_ms": _between(event.routed_at, event.called_at),
            "call_ms": _between(event.called_at, event.answered_at),
            "config_hash": event.config_hash,
            "input": event.input,
            "output": event.output,
            "version": VERSIONS - record.offset,
        }
    )


def _between(start: int | None, end: int | None) -> int | None:
    return None if start is None or end is None else end - start


def _request_in(value: bytes) -> RequestReceived:
    """The request in a record's value; no other event, which would bring its text in under another name.

    Raises:
        UndecodableError: there is none.

    """
    event = decode(value)
    if not isinstance(event, RequestReceived):
        raise UndecodableError(f"a {type(event).__name__} has no business on a request topic")
    return event


def _written_by(record: Record) -> Facts:
    """What the headers of an event of ours say about it: its own id, and the stage that wrote it."""
    headers = dict(record.headers)  # of two of a name the last
    said: Facts = {}
    if event_id := headers.get("ce_id"):
        said["event_id"] = event_id.decode(errors="replace")
    if stage := _SOURCES.get(headers.get("ce_source")):
        said["stage"] = stage
    return said


def _text(record: Record, header: str) -> str:
    for name, value in reversed(record.headers):
        if name == header:
            return (value or b"").decode(errors="replace")
    return ""


def _number(record: Record, header: str, layout: struct.Struct, otherwise: int) -> int:
    value = wire.last(record.headers, header)
    return int(layout.unpack(value)[0]) if value is not None and len(value) == layout.size else otherwise


def _original(record: Record, topic: str) -> Record:
    """The record that a dead letter was, as far as its headers tell."""
    return Record(
        topic,
        _number(record, "kafka_dlt-original-partition", _INT, record.partition),
        _number(record, "kafka_dlt-original-offset", _LONG, record.offset),
        _number(record, "kafka_dlt-original-timestamp", _LONG, record.timestamp_ms),
        record.key,
        record.value,
        record.headers,
    )
