from __future__ import annotations

import itertools

from streams.pipeline.backoff import backoff


def test_backoff_repeats_the_last_delay_forever() -> None:
    assert list(itertools.islice(backoff((0.1, 1.0)), 4)) == [0.1, 1.0, 1.0, 1.0]
