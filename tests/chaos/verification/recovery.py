"""Recovery from a fault, as callers saw it. Pure."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from tests.chaos.callers import SentRequest

_ANSWERED = 200


@dataclass(frozen=True, slots=True)
class FaultTimes:
    """Times of a fault in epoch seconds: its start, its undoing by the harness, and a later request in ClickHouse.

    A kill is undone at once, because the process is restarted by its supervisor.
    """

    fault: str
    started: float
    ended: float
    stored: float | None


@dataclass(frozen=True, slots=True)
class Recovery:
    """Recovery times in seconds, and counts of the requests from this fault until the next one."""

    fault: str
    lasted_s: float
    """From the start of the fault until it was undone."""
    first_s: float | None
    """From the start of the fault until a later request was answered."""
    longest_s: float
    """Longest time from a request to its reply."""
    stored_s: float | None
    """From the end of the fault until a later request was in ClickHouse."""
    requests: int
    not_answered: int
    """Requests that were refused, failed or expired."""


def measure_recovery(times: FaultTimes, until: float, requests: Sequence[SentRequest]) -> Recovery:
    """Measure the requests between a fault and the next one, without those whose callers disconnect."""
    measured = [
        request for request in requests if times.started <= request.sent_at < until and request.kind != "disconnecting"
    ]
    replied = [(request, request.answered_at) for request in measured if request.answered_at is not None]
    return Recovery(
        times.fault,
        times.ended - times.started,
        min((at - times.started for request, at in replied if request.status == _ANSWERED), default=None),
        max((at - request.sent_at for request, at in replied), default=0.0),
        None if times.stored is None else times.stored - times.ended,
        len(measured),
        sum(request.status not in {None, _ANSWERED} for request in measured),
    )
