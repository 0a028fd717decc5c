"""Builder of the ``Request`` that every event of a request carries, shared by the HTTP and the Kafka entrance."""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Literal

from schemas.events.parts import ReplyTo, Request
from schemas.events.vocabulary import Lane
from streams.config.settings import Tenant
from streams.pipeline.request_metadata import RequestMetadata, valid_traceparent


class RequestBuilder:
    """Applies the configured lanes and timeouts to the metadata of a request."""

    def __init__(self, tenants: Mapping[str, Tenant], *, deadline_s: float, batch_deadline_s: float) -> None:
        self._batch_tenants = frozenset(name for name, tenant in tenants.items() if tenant.lane == "batch")
        self._timeout_ms: Mapping[Lane, int] = {
            "interactive": math.ceil(deadline_s * 1000),
            "batch": math.ceil(batch_deadline_s * 1000),
        }

    def is_batch_tenant(self, tenant: str) -> bool:
        """Return whether all requests of this tenant take the batch lane."""
        return tenant in self._batch_tenants

    def build(
        self,
        metadata: RequestMetadata,
        *,
        request_id: str,
        tenant: str,
        source: Literal["http", "kafka"],
        key_id: str = "",
    ) -> Request:
        """Return the request of these metadata. A malformed traceparent is dropped, as W3C Trace Context requires."""
        lane: Lane = "batch" if tenant in self._batch_tenants else metadata.lane
        timeout_ms = self._timeout_ms[lane] if metadata.timeout_ms is None else metadata.timeout_ms
        return Request(
            request_id=request_id,
            tenant=tenant,
            key_id=key_id,
            operation=metadata.operation,
            source=source,
            received_at=metadata.received_at,
            deadline_at=metadata.received_at + timeout_ms,
            idempotency_key=metadata.idempotency_key,
            traceparent=valid_traceparent(metadata.traceparent) if metadata.traceparent else "",
            reply_to=metadata.reply_to,
            stream_topic=metadata.stream_topic,
            lane=lane,
        )

    def build_unreadable(
        self, received_at: int, *, request_id: str, tenant: str, reply_to: ReplyTo | None = None
    ) -> Request:
        """Return the request of a Kafka record whose metadata can't be read, so that it is settled and replied to."""
        return Request(
            request_id=request_id,
            tenant=tenant,
            operation="chat",
            source="kafka",
            received_at=received_at,
            deadline_at=received_at + self._timeout_ms["interactive"],
            reply_to=reply_to,
        )
