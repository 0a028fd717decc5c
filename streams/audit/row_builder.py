"""Conversion of records to rows: one in ``events_log``, and one in ``requests_log`` for the outcome of a request.

Pure: the same record always gives the same rows, so that storing it twice is harmless. Rows are built by column, for
all records of a batch with the same topic and event class: 5.4 us per record instead of 13.3 row by row, without
decoding.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Any

from schemas.avro.codec import UndecodableError, decode, is_framed
from schemas.codegen.frozen_dataclass import frozen_slots
from schemas.events.catalog import Event, RequestReceived, RequestSettled
from schemas.kafka.records import ConsumerRecord
from schemas.kafka.stages import STAGES
from schemas.kafka.topics import Topics
from streams.audit.event_columns import COLUMN_BUILDERS
from streams.audit.record_columns import original_record, position_columns, source_columns, text
from streams.audit.request_columns import build_request_columns
from streams.audit.shared_columns import RequesterColumns, trace_id
from streams.audit.tables import EVENTS, REQUESTS, Columns, Rows
from streams.config.settings import ANONYMOUS_TENANT
from streams.pipeline.request_identity import identify


@frozen_slots
class RowBatches:
    """Rows of a batch for both tables."""

    events: Rows
    requests: Rows


@frozen_slots
class RecordGroup:
    """Records of one topic with events of one class.

    For undecodable records, the class is ``str`` and each event is the reason.
    """

    topic: str
    kind: type[Any]
    records: list[ConsumerRecord]
    events: list[Any]


class RowBuilder:
    """Builds rows of records, by topic.

    Rows of the request topics and their dead letters contain nothing that the caller wrote, in body, headers or event,
    because no policy has screened it yet. The caller's own names appear with the first event after the filter.
    """

    def __init__(self, topics: Topics) -> None:
        self._topics = topics
        self._outcomes = topics.outcomes.name
        self._tenants = frozenset(topics.tenant_requests) | {ANONYMOUS_TENANT}
        self._requests = {topic.name for topic in topics.all_requests}
        self._originals = {topic.dead_letters: topic.name for topic in topics.all}
        self._consumers = {topic.name: stage for stage in STAGES[:-1] for topic in topics.sources_of(stage)}

    def build(self, records: Iterable[ConsumerRecord]) -> RowBatches:
        """Return the rows of all records. Never raises: an undecodable record becomes a row with the reason."""
        groups, requesters = _group(records), RequesterColumns()
        events = [
            (group.records, position_columns(group.records) | self._event_columns(group, requesters))
            for group in groups
        ]
        outcomes = [
            _settled_requests(group)
            for group in groups
            if group.kind is RequestSettled and group.topic == self._outcomes
        ]
        requests = [
            (group.records, build_request_columns(group.records, group.events, requesters))
            for group in outcomes
            if group.records
        ]
        return RowBatches(EVENTS.build_rows(events), REQUESTS.build_rows(requests))

    def placeholder(self, record: ConsumerRecord, reason: str) -> Rows:
        """Return a row in place of one that its table refused, with position and reason."""
        columns = {"event_type": "Unstorable", "attributes": {"reason": reason}}
        return EVENTS.build_rows([([record], position_columns([record]) | columns)])

    def _event_columns(self, group: RecordGroup, requesters: RequesterColumns) -> Columns:
        if group.topic in self._originals:
            return self._dead_letter_columns(group, self._originals[group.topic], requesters)
        if group.topic in self._requests:
            return self._request_topic_columns(group)
        if group.kind is str:
            return {"event_type": "Undecodable", "attributes": [{"reason": reason} for reason in group.events]}
        columns = COLUMN_BUILDERS[group.kind](group.events)
        if hasattr(group.kind, "request"):
            columns |= requesters.columns([event.request for event in group.events])
        return {"event_type": group.kind.__name__} | columns | source_columns(group.records, columns.get("stage", ""))

    def _request_topic_columns(self, group: RecordGroup) -> Columns:
        """Return the columns of records on a request topic: ``RequestReceived``, plain JSON, or neither."""
        if group.kind is RequestReceived:
            requester = self._requester_columns(group.topic, group.records, group.events)
            return COLUMN_BUILDERS[group.kind](group.events) | requester | {"event_type": "RequestReceived"}
        requester = self._requester_columns(group.topic, group.records, [None] * len(group.records))
        if group.kind is not str:  # its columns would contain the caller's unscreened text
            reason = f"a {group.kind.__name__} does not belong on a request topic"
            return requester | {"event_type": "Undecodable", "attributes": {"reason": reason}}
        plain = [_is_plain(record.value or b"") for record in group.records]
        return requester | {
            "event_type": ["RequestReceived" if is_plain else "Undecodable" for is_plain in plain],
            "attributes": [
                {} if is_plain else {"reason": reason} for is_plain, reason in zip(plain, group.events, strict=True)
            ],
        }

    def _requester_columns(
        self, topic: str, records: Sequence[ConsumerRecord], events: Sequence[RequestReceived | None]
    ) -> Columns:
        """Return the requester's columns. A topic's owner is the tenant; elsewhere only known tenants are accepted."""
        owner = self._topics.owner_of(topic)
        pairs = list(zip(records, events, strict=True))
        by_http = [event is not None and owner is None and event.request.source == "http" for event in events]
        return {
            "tenant": owner or [self._known_tenant(event) for event in events],
            "request_id": [identify(record, event, self._topics) for record, event in pairs],
            "trace_id": [
                trace_id(event.request.traceparent if event is not None else text(record, "traceparent"))
                for record, event in pairs
            ],
            "source": ["http" if is_http else "kafka" for is_http in by_http],
            "stage": ["ingress" if is_http else "" for is_http in by_http],
        }

    def _known_tenant(self, event: RequestReceived | None) -> str:
        return event.request.tenant if event is not None and event.request.tenant in self._tenants else ANONYMOUS_TENANT

    def _dead_letter_columns(self, group: RecordGroup, topic: str, requesters: RequesterColumns) -> Columns:
        """Return the columns of dead letters: original position and reason. Texts are in the rows of the originals."""
        originals = [original_record(record, topic) for record in group.records]
        reasons = [text(record, "kafka_dlt-exception-message") for record in group.records]
        return self._original_requester(group, topic, originals, requesters) | {
            "event_type": "DeadLettered",
            "event_time": [record.timestamp_ms for record in group.records],
            "stage": self._consumers.get(topic, ""),
            "error_type": [text(record, "kafka_dlt-exception-fqcn") for record in group.records],
            "error_message": reasons,
            "attributes": [
                {
                    # repeated here, because dashboards have no access to error_message; it quotes no record
                    "reason": reason,
                    "event_type": "" if group.kind is str else group.kind.__name__,
                    "kafka_topic": topic,
                    "kafka_partition": str(original.partition),
                    "kafka_offset": str(original.offset),
                }
                for original, reason in zip(originals, reasons, strict=True)
            ],
        }

    def _original_requester(
        self, group: RecordGroup, topic: str, originals: Sequence[ConsumerRecord], requesters: RequesterColumns
    ) -> Columns:
        is_received = group.kind is RequestReceived
        if topic in self._requests:
            return self._requester_columns(topic, originals, group.events if is_received else [None] * len(originals))
        if group.kind is str or is_received:
            return {}
        if hasattr(group.kind, "request"):
            return requesters.columns([event.request for event in group.events])
        return {"tenant": [getattr(event, "tenant", "") for event in group.events]}


def _group(records: Iterable[ConsumerRecord]) -> list[RecordGroup]:
    groups: dict[tuple[str, type], RecordGroup] = {}
    for record in records:
        event = _decode(record.value or b"")
        key = record.topic, type(event)
        group = groups.get(key) or groups.setdefault(key, RecordGroup(*key, [], []))
        group.records.append(record)
        group.events.append(event)
    return list(groups.values())


def _decode(value: bytes) -> Event | str:
    """Return the event in a record's value, or the reason why it cannot be decoded."""
    try:
        return decode(value)
    except UndecodableError as error:
        return str(error)


def _is_plain(value: bytes) -> bool:
    return value != b"" and not is_framed(value)


def _settled_requests(settled: RecordGroup) -> RecordGroup:
    """Return the group without replays, which are events but not outcomes of their own."""
    first = [index for index, event in enumerate(settled.events) if not event.replayed]
    return RecordGroup(
        settled.topic,
        settled.kind,
        [settled.records[index] for index in first],
        [settled.events[index] for index in first],
    )
