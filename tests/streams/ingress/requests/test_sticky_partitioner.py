from __future__ import annotations

from streams.ingress.requests.sticky_partitioner import STICKY_S, StickyPartitioner


def test_partition_changes_once_per_sticky_interval() -> None:
    now = [5.0]
    turns = StickyPartitioner(lambda: now[0])

    together = {turns.choose(3) for _ in range(10)}
    later = []
    for _ in range(4):
        now[0] += STICKY_S * 1.01
        later.append(turns.choose(3))

    assert together == {0}
    assert later == [1, 2, 0, 1]
