from __future__ import annotations

import uuid

import pytest

from schemas.events.request_id import is_named, is_request_id, named_request_id, new_request_id, recorded_request_id


def test_a_new_id_is_a_uuid_of_version_7_and_sorts_by_time() -> None:
    ids = [new_request_id() for _ in range(1000)]

    assert {uuid.UUID(each).version for each in ids} == {7}
    assert ids == sorted(ids)
    assert len(set(ids)) == len(ids)


def test_a_named_request_has_the_same_id_whenever_it_is_asked_for() -> None:
    assert named_request_id("acme", "order-1") == named_request_id("acme", "order-1")
    assert uuid.UUID(named_request_id("acme", "order-1")).version == 5


def test_the_ids_of_names_never_change_between_releases() -> None:
    assert named_request_id("acme", "order-1") == "526735cd-337f-5ee1-b722-7d0d48cfb525"


def test_two_tenants_that_use_one_name_never_meet() -> None:
    assert named_request_id("acme", "order-1") != named_request_id("evil", "order-1")
    assert named_request_id("ab", "c") != named_request_id("a", "bc")


def test_a_name_may_be_any_text() -> None:
    assert uuid.UUID(named_request_id("acme", "schöne Grüße \0 🎉"))


def test_a_record_read_twice_has_one_id() -> None:
    assert recorded_request_id("t", 1, 2, 3) == recorded_request_id("t", 1, 2, 3)


@pytest.mark.parametrize("other", [("u", 1, 2, 3), ("t", 2, 2, 3), ("t", 1, 3, 3), ("t", 1, 2, 4), ("t", 12, 0, 3)])
def test_two_records_have_two_ids(other: tuple[str, int, int, int]) -> None:
    assert recorded_request_id("t", 1, 2, 3) != recorded_request_id(*other)


@pytest.mark.parametrize("timestamp_ms", [-1, 0, 1_795_520_000_000, 2**48 - 1, 2**63 - 1])
def test_a_recorded_id_is_a_uuid_of_version_7_whatever_the_time(timestamp_ms: int) -> None:
    found = uuid.UUID(recorded_request_id("t", 0, 0, timestamp_ms))

    assert found.version == 7
    assert found.variant == uuid.RFC_4122


def test_a_recorded_id_begins_with_the_records_time() -> None:
    found = uuid.UUID(recorded_request_id("t", 0, 0, 1_795_520_000_000))

    assert found.int >> 80 == 1_795_520_000_000


def test_the_id_itself_tells_whether_its_caller_can_repeat_the_request() -> None:
    assert is_named(named_request_id("acme", "order-1"))
    assert not is_named(new_request_id())
    assert not is_named(recorded_request_id("llm.requests.v1", 1, 2, 3))
    assert not is_named("")


@pytest.mark.parametrize(
    ("text", "is_one"),
    [
        ("01a2230a-5b6c-727d-b14c-3711e9ade6d8", True),
        ("01A2230A-5B6C-727D-B14C-3711E9ADE6D8", False),
        ("01a2230a5b6c727db14c3711e9ade6d8", False),
        ("{01a2230a-5b6c-727d-b14c-3711e9ade6d8}", False),
        ("01a2230a-5b6c-727d-b14c-3711e9ade6d8\n", False),
        ("", False),
    ],
)
def test_an_id_is_a_uuid_in_the_one_way_that_we_write_it(text: str, is_one: bool) -> None:
    assert is_request_id(text) is is_one
