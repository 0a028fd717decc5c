from __future__ import annotations

import uuid

import pytest

from schemas.events.request_id import is_named, is_request_id, named_request_id, new_request_id, recorded_request_id


def test_new_ids_are_uuids_of_version_7_and_sort_by_time() -> None:
    ids = [new_request_id() for _ in range(1000)]

    assert {uuid.UUID(each).version for each in ids} == {7}
    assert ids == sorted(ids)
    assert len(set(ids)) == len(ids)


def test_named_request_id_is_a_deterministic_uuid_of_version_5() -> None:
    assert named_request_id("acme", "order-1") == named_request_id("acme", "order-1")
    assert uuid.UUID(named_request_id("acme", "order-1")).version == 5


def test_named_request_id_does_not_change_between_releases() -> None:
    assert named_request_id("acme", "order-1") == "526735cd-337f-5ee1-b722-7d0d48cfb525"


def test_named_request_ids_of_two_tenants_differ() -> None:
    assert named_request_id("acme", "order-1") != named_request_id("evil", "order-1")
    assert named_request_id("ab", "c") != named_request_id("a", "bc")


def test_named_request_id_accepts_any_text() -> None:
    assert uuid.UUID(named_request_id("acme", "schöne Grüße \0 🎉"))


def test_recorded_request_id_is_deterministic() -> None:
    assert recorded_request_id("t", 1, 2, 3) == recorded_request_id("t", 1, 2, 3)


@pytest.mark.parametrize("other", [("u", 1, 2, 3), ("t", 2, 2, 3), ("t", 1, 3, 3), ("t", 1, 2, 4), ("t", 12, 0, 3)])
def test_recorded_request_ids_of_two_records_differ(other: tuple[str, int, int, int]) -> None:
    assert recorded_request_id("t", 1, 2, 3) != recorded_request_id(*other)


@pytest.mark.parametrize("timestamp_ms", [-1, 0, 1_795_520_000_000, 2**48 - 1, 2**63 - 1])
def test_recorded_request_id_is_a_uuid_of_version_7_for_any_timestamp(timestamp_ms: int) -> None:
    request_id = uuid.UUID(recorded_request_id("t", 0, 0, timestamp_ms))

    assert request_id.version == 7
    assert request_id.variant == uuid.RFC_4122


def test_recorded_request_id_starts_with_the_timestamp_of_the_record() -> None:
    request_id = uuid.UUID(recorded_request_id("t", 0, 0, 1_795_520_000_000))

    assert request_id.int >> 80 == 1_795_520_000_000


def test_is_named_is_true_only_for_ids_of_named_requests() -> None:
    assert is_named(named_request_id("acme", "order-1"))
    assert not is_named(new_request_id())
    assert not is_named(recorded_request_id("llm.requests.v1", 1, 2, 3))
    assert not is_named("")


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("01a2230a-5b6c-727d-b14c-3711e9ade6d8", True),
        ("01A2230A-5B6C-727D-B14C-3711E9ADE6D8", False),
        ("01a2230a5b6c727db14c3711e9ade6d8", False),
        ("{01a2230a-5b6c-727d-b14c-3711e9ade6d8}", False),
        ("01a2230a-5b6c-727d-b14c-3711e9ade6d8\n", False),
        ("", False),
    ],
)
def test_request_id_is_a_uuid_in_canonical_form(text: str, expected: bool) -> None:
    assert is_request_id(text) is expected
