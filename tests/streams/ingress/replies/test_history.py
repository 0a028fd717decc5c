from __future__ import annotations

import uuid
from collections.abc import Callable

import pytest

from connectors.clickhouse import ClickHouseClient
from streams.ingress.errors import ApiError
from streams.ingress.replies.cache import CachedReply
from streams.ingress.replies.history import ReplyHistory

REQUEST_ID = str(uuid.uuid4())


def settle(clickhouse: ClickHouseClient, **fields: object) -> None:
    row = {"tenant": "acme", "request_id": REQUEST_ID, "received_at": 1_000, "settled_at": 2_500, "version": 1} | fields
    clickhouse.insert("requests_log", list(row), [list(row.values())])


@pytest.mark.flow
async def test_history_returns_the_answer_of_a_settled_request(clickhouse: ClickHouseClient) -> None:
    settle(clickhouse, outcome="answered", http_status=200, output='{ "n": 1.00 }')

    answer = await ReplyHistory(clickhouse)("acme", REQUEST_ID)

    assert answer == CachedReply(REQUEST_ID, "acme", 1_000, "answered", 2_500, 200, b'{ "n": 1.00 }')


@pytest.mark.flow
async def test_history_returns_the_error_of_a_refused_request(clickhouse: ClickHouseClient) -> None:
    settle(clickhouse, outcome="refused", http_status=400, error_type="policy_violation", error_message="Rule x.")

    answer = await ReplyHistory(clickhouse)("acme", REQUEST_ID)

    assert answer is not None
    assert (
        b'"error":{"message":"Rule x.","type":"invalid_request_error","param":null,"code":"policy_violation"}'
        in answer.document()
    )


@pytest.mark.flow
@pytest.mark.parametrize(
    ("first", "then", "found"),
    [("answered", "refused", "answered"), ("refused", "answered", "answered"), ("refused", "failed", "failed")],
)
async def test_history_prefers_an_answer_else_the_last_reply(
    clickhouse: ClickHouseClient, first: str, then: str, found: str
) -> None:
    settle(clickhouse, received_at=1_000, settled_at=2_000, outcome=first, output="{}")
    settle(clickhouse, received_at=3_000, settled_at=4_000, outcome=then, output="{}")

    answer = await ReplyHistory(clickhouse)("acme", REQUEST_ID)

    assert answer is not None
    assert answer.outcome == found


@pytest.mark.flow
async def test_received_request_without_outcome_is_pending(clickhouse: ClickHouseClient) -> None:
    row = {"tenant": "acme", "request_id": REQUEST_ID, "event_type": "RequestReceived", "event_time": 1_000}
    clickhouse.insert("events_log", list(row), [list(row.values())])

    answer = await ReplyHistory(clickhouse)("acme", REQUEST_ID)

    assert answer == CachedReply(REQUEST_ID, "acme", 1_000)


@pytest.mark.flow
@pytest.mark.parametrize("tenant", ["globex", "acme' OR '1'='1"])
async def test_request_of_another_tenant_is_not_found(clickhouse: ClickHouseClient, tenant: str) -> None:
    settle(clickhouse, outcome="answered", http_status=200, output="{}")

    assert await ReplyHistory(clickhouse)(tenant, REQUEST_ID) is None


async def test_unavailable_clickhouse_gives_503_without_credentials(
    free_port: Callable[[], int],
) -> None:
    nobody = ClickHouseClient.server(f"http://reader:secret@127.0.0.1:{free_port()}", read_only=True)

    with pytest.raises(ApiError) as caught:
        await ReplyHistory(nobody)("acme", REQUEST_ID)

    assert (caught.value.failure.status, caught.value.failure.code) == (503, "lookup_unavailable")
    assert "secret" not in f"{caught.value.__cause__!r}"


@pytest.mark.flow
async def test_history_returns_vectors_in_the_requested_encoding(clickhouse: ClickHouseClient) -> None:
    kept = '{"data":[{"embedding":"AACAPw=="}]}'
    settle(clickhouse, operation="embeddings", outcome="answered", http_status=200, input="{}", output=kept)

    answer = await ReplyHistory(clickhouse)("acme", REQUEST_ID)

    assert answer is not None
    assert answer.body == b'{"data":[{"embedding":[1.0]}]}'
