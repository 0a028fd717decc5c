"""How a fault was lived through, as its callers saw it. Pure."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from tests.chaos.callers import Ask

_ANSWERED = 200


@dataclass(frozen=True, slots=True)
class Mark:
    """When a fault struck, was healed by whoever caused it, and when a later request was in ClickHouse: epoch seconds.

    A kill is healed at once: that the process comes back is the gateway's matter.
    """

    fault: str
    struck: float
    healed: float
    stored: float | None


@dataclass(frozen=True, slots=True)
class Recovery:
    """The same in seconds, with what became of the requests of this time."""

    fault: str
    lasted_s: float
    """From the strike until it was healed."""
    first_s: float | None
    """From the strike until a request that came after it was answered."""
    longest_s: float
    """The longest that any request of this time waited for its reply."""
    stored_s: float | None
    """From the healing until a request that came after it was in ClickHouse."""
    requests: int
    not_answered: int
    """Requests of this time with another end than an answer: refused, failed or expired."""


def recovery(mark: Mark, until: float, asks: Sequence[Ask]) -> Recovery:
    """What the callers between a fault and the next one saw; those who hung up saw nothing."""
    these = [ask for ask in asks if mark.struck <= ask.sent_at < until and ask.way != "leaving"]
    replied = [(ask, ask.answered_at) for ask in these if ask.answered_at is not None]
    return Recovery(
        mark.fault,
        mark.healed - mark.struck,
        min((at - mark.struck for ask, at in replied if ask.status == _ANSWERED), default=None),
        max((at - ask.sent_at for ask, at in replied), default=0.0),
        None if mark.stored is None else mark.stored - mark.healed,
        len(these),
        sum(ask.status not in {None, _ANSWERED} for ask in these),
    )
