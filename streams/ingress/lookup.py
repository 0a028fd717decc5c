"""Asks ClickHouse what became of a request: after a restart, on another instance, or much later."""

from __future__ import annotations

from typing import Any

import httpx
import orjson
import structlog

from schemas.events import Failure
from streams.ingress.answers import Answer
from streams.ingress.refusals import error_object, type_of, unavailable
from streams.settings import ClickHouse

TIMEOUT_S = 5.0

_SETTLED = """
SELECT
    toUnixTimestamp64Milli(received_at) AS created_at,
    toUnixTimestamp64Milli(settled_at) AS settled_at,
    outcome, http_status, error_type, error_message, output
FROM requests
WHERE tenant = {tenant:String} AND request_id = {id:UUID}
LIMIT 1
FORMAT JSONEachRow
"""

_RECEIVED = """
SELECT toUnixTimestamp64Milli(event_time) AS created_at
FROM events
WHERE tenant = {tenant:String} AND request_id = {id:UUID} AND event_type = 'RequestReceived'
LIMIT 1
FORMAT JSONEachRow
"""

_log = structlog.get_logger()


class ClickHouseLookup:
    """Tenant and request id to an answer. The values go as parameters, never into the SQL."""

    def __init__(self, settings: ClickHouse, client: httpx.AsyncClient) -> None:
        self._url = settings.url or f"http://127.0.0.1:{settings.port}"
        self._database = settings.database
        self._client = client

    async def __call__(self, tenant: str, request_id: str) -> Answer | None:
        """What is recorded of a tenant's request; None if nothing is.

        Raises:
            RefusedError: 503, ClickHouse did not answer.

        """
        settled = await self._row(_SETTLED, tenant, request_id)
        if settled is not None:
            return _settled(settled, tenant, request_id)
        received = await self._row(_RECEIVED, tenant, request_id)
        return Answer(request_id, tenant, int(received["created_at"])) if received is not None else None

    async def _row(self, sql: str, tenant: str, request_id: str) -> dict[str, Any] | None:
        parameters = {"database": self._database, "param_tenant": tenant, "param_id": request_id}
        try:
            response = await self._client.post(self._url, params=parameters, content=sql, timeout=TIMEOUT_S)
            response.raise_for_status()
        except httpx.HTTPError as error:
            # Not the error's text: it holds the URL, which may hold a password.
            _log.warning("lookup.failed", request_id=request_id, error=type(error).__name__)
            raise unavailable("lookup_unavailable", "The record can't be read right now.") from error
        return orjson.loads(response.content) if response.content.strip() else None


def _settled(row: dict[str, Any], tenant: str, request_id: str) -> Answer:
    status = int(row["http_status"])
    body = row["output"].encode()
    if row["outcome"] != "answered":
        code, message = row["error_type"], row["error_message"]
        body = error_object(Failure(status=status, type=type_of(status), code=code, message=message))
    return Answer(
        request_id,
        tenant,
        created_at=int(row["created_at"]),
        outcome=row["outcome"],
        settled_at=int(row["settled_at"]),
        http_status=status,
        body=body,
    )
