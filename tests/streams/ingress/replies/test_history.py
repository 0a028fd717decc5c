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
async def test_a_settled_request_is_found_with_its_answer(clickhouse: ClickHouseClient) -> None:
    settle(clickhouse, outcome="answered", http_status=200, output='{ "n": 1.00 }')

    answer = await ReplyHistory(clickhouse)("acme", REQUEST_ID)

    assert answer == CachedReply(REQUEST_ID, "acme", 1_000, "answered", 2_500, 200, b'{ "n": 1.00 }')


@pytest.mark.flow
async def test_a_refused_request_is_found_with_its_error(clickhouse: ClickHouseClient) -> None:
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
async def test_of_two_ends_under_one_name_an_answer_is_found_else_the_last(
    clickhouse: ClickHouseClient, first: str, then: str, found: str
) -> None:
    settle(clickhouse, received_at=1_000, settled_at=2_000, outcome=first, output="{}")
    settle(clickhouse, received_at=3_000, settled_at=4_000, outcome=then, output="{}")

    answer = await ReplyHistory(clickhouse)("acme", REQUEST_ID)

    assert answer is not None
    assert answer.outcome == found


@pytest.mark.flow
async def test_a_request_that_came_in_but_has_no_end_yet_is_pending(clickhouse: ClickHouseClient) -> None:
    row = {"tenant": "acme", "request_id": REQUEST_ID, "event_type": "RequestReceived", "event_time": 1_000}
    clickhouse.insert("events_log", list(row), [list(row.values())])

    answer = await ReplyHistory(clickhouse)("acme", REQUEST_ID)

    assert answer == CachedReply(REQUEST_ID, "acme", 1_000)


@pytest.mark.flow
@pytest.mark.parametrize("tenant", ["globex", "acme' OR '1'='1"])
async def test_another_tenants_request_is_not_found(clickhouse: ClickHouseClient, tenant: str) -> None:
    settle(clickhouse, outcome="answered", http_status=200, output="{}")

    assert await ReplyHistory(clickhouse)(tenant, REQUEST_ID) is None


async def test_without_clickhouse_the_caller_is_told_to_come_back_and_no_password_is_told(
    free_port: Callable[[], int],
) -> None:
    nobody = ClickHouseClient.server(f"http://reader:secret@127.0.0.1:{free_port()}", read_only=True)

    with pytest.raises(ApiError) as caught:
        await ReplyHistory(nobody)("acme", REQUEST_ID)

    assert (caught.value.failure.status, caught.value.failure.code) == (503, "lookup_unavailable")
    assert "secret" not in f"{caught.value.__cause__!r}"


@pytest.mark.flow
async def test_vectors_are_found_as_their_caller_asked_for_them(clickhouse: ClickHouseClient) -> None:
    kept = '{"data":[{"embedding":"AACAPw=="}]}'
    settle(clickhouse, operation="embeddings", outcome="answered", http_status=200, input="{}", output=kept)

    answer = await ReplyHistory(clickhouse)("acme", REQUEST_ID)

    assert answer is not None
    assert answer.body == b'{"data":[{"embedding":[1.0]}]}'
