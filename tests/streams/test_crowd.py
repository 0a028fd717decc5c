from __future__ import annotations

from streams.crowd import Crowd


class Noted:
    def __init__(self) -> None:
        self.woken = 0

    def wake(self) -> None:
        self.woken += 1


def test_it_counts_those_who_go_first() -> None:
    crowd = Crowd()

    with crowd.joined("interactive"), crowd.joined("batch"), crowd.joined("interactive"):
        assert crowd.interactive == 2

    assert crowd.interactive == 0


def test_when_the_last_who_goes_first_is_gone_the_others_are_woken() -> None:
    crowd, line = Crowd(), Noted()
    crowd.lines[line] = None

    with crowd.joined("interactive"):
        with crowd.joined("interactive"):
            pass
        with crowd.joined("batch"):
            pass
        woken_before = line.woken

    assert (woken_before, line.woken) == (0, 1)
