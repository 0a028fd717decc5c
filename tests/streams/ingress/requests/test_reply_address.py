from __future__ import annotations

from streams.ingress.requests.reply_address import ReplyAddress, own_partitions, with_reply_address
from streams.ingress.requests.sticky_partitioner import STICKY_S, StickyPartitioner
from tests.factories import make_request


def test_instances_share_the_reply_partitions_without_overlap() -> None:
    shares = [own_partitions(5, instance, 3) for instance in range(3)]

    assert sorted(partition for share in shares for partition in share) == [0, 1, 2, 3, 4]


def test_instance_beyond_the_number_of_partitions_has_none() -> None:
    assert own_partitions(2, 2, 3) == ()


def test_own_partitions_rotate_and_each_request_has_its_own_correlation_id() -> None:
    now = [0.0]
    address = ReplyAddress("llm.replies.ingress.v1", (1, 3), StickyPartitioner(lambda: now[0]))
    request = make_request()

    first, first_id = with_reply_address(request, address, stream=True)
    now[0] += STICKY_S
    second, second_id = with_reply_address(request, address, stream=True)

    assert first.reply_to is not None
    assert second.reply_to is not None
    assert {first.reply_to.partition, second.reply_to.partition} == {1, 3}
    assert first.reply_to.key == request.request_id.encode()
    assert first.reply_to.correlation[0].value == first_id.encode()
    assert second.reply_to.correlation[0].value == second_id.encode()
    assert first_id != second_id


def test_stream_topic_is_set_only_for_requests_that_may_stream() -> None:
    address = ReplyAddress("llm.replies.ingress.v1", (0,), StickyPartitioner())

    assert with_reply_address(make_request(), address, stream=True)[0].stream_topic == "llm.replies.ingress.v1"
    assert with_reply_address(make_request(), address, stream=False)[0].stream_topic == ""
