"""Reply history in ClickHouse, for requests that the cache of this instance does not have."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping, Sequence
from typing import Any, Protocol

import structlog

from connectors.clickhouse import ClickHouseError
from schemas.events.parts import Failure
from schemas.openai.bodies import error_body
from schemas.openai.embedding_vectors import unpack_vectors, wants_float_encoding
from streams.ingress.errors import type_of, unavailable
from streams.ingress.replies.cache import CachedReply

TIMEOUT_S = 5.0

_SETTLED = """
SELECT
    toUnixTimestamp64Milli(received_at) AS created_at,
    toUnixTimestamp64Milli(settled_at) AS settled_at,
    operation, outcome, http_status, error_type, error_message, input, output
FROM requests
WHERE tenant = {tenant:String} AND request_id = {id:UUID}
ORDER BY outcome = 'answered' DESC, settled_at DESC
LIMIT 1
"""
"""An idempotency key that is reused after a failure has a row per use. An answer is preferred, as in ``ReplyCache``."""

_RECEIVED = """
SELECT toUnixTimestamp64Milli(event_time) AS created_at
FROM events
WHERE tenant = {tenant:String} AND request_id = {id:UUID} AND event_type = 'RequestReceived'
LIMIT 1
"""

_log = structlog.get_logger()


class HistoryDatabase(Protocol):
    """Interface of the database client: ``connectors.clickhouse.ClickHouseClient``."""

    def rows(self, sql: str, parameters: Mapping[str, object]) -> Sequence[Mapping[str, Any]]:
        """Run a query. Raises ClickHouseError."""
        ...


class ReplyHistory:
    """Looks up recorded replies. Tenant and request id are query parameters, never part of the SQL."""

    def __init__(self, database: HistoryDatabase) -> None:
        self._database = database

    async def __call__(self, tenant: str, request_id: str) -> CachedReply | None:
        """Return the recorded state of a tenant's request; None if it is not recorded, or not yet.

        Raises:
            ApiError: 503, ClickHouse did not answer within 5 s.

        """
        try:
            async with asyncio.timeout(TIMEOUT_S):
                return await asyncio.to_thread(self._find, tenant, request_id)
        except (ClickHouseError, TimeoutError) as error:
            _log.warning("lookup.failed", request_id=request_id, reason=str(error) or type(error).__name__)
            raise unavailable("lookup_unavailable", "ClickHouse does not answer. Retry later.") from error

    def _find(self, tenant: str, request_id: str) -> CachedReply | None:
        parameters = {"tenant": tenant, "id": request_id}
        for row in self._database.rows(_SETTLED, parameters):
            return _settled_reply(row, tenant, request_id)
        for row in self._database.rows(_RECEIVED, parameters):
            return CachedReply(request_id, tenant, row["created_at"])
        return None


def _settled_reply(row: Mapping[str, Any], tenant: str, request_id: str) -> CachedReply:
    return CachedReply(
        request_id,
        tenant,
        created_at=row["created_at"],
        outcome=row["outcome"],
        settled_at=row["settled_at"],
        http_status=row["http_status"],
        body=_answer(row) if row["outcome"] == "answered" else _error(row),
    )


def _answer(row: Mapping[str, Any]) -> bytes:
    """Return the answer in the encoding that its caller requested."""
    if row["operation"] == "embeddings" and wants_float_encoding(row["input"]):
        return unpack_vectors(row["output"])
    output: str = row["output"]
    return output.encode()


def _error(row: Mapping[str, Any]) -> bytes:
    status, code = row["http_status"], row["error_type"]
    failure = Failure(status=status, type=type_of(status, code), code=code, message=row["error_message"])
    return error_body(failure)
