"""The ledger: what was asked against what is on the log, what callers got, what the provider saw, and what was stored.

Pure. Each line of it says what must hold, how many things were looked at, and which of them it does not hold for.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field

from tests.chaos.callers import TOPICS, Ask
from tests.chaos.double import ANSWER, Call
from tests.chaos.evidence import Attempt, InClickHouse, OnTheLog, Place

OK = 200
RETRIED = "again"
"""The model whose calls are made again when they are in doubt."""


@dataclass(frozen=True, slots=True)
class Evidence:
    """All that a run has left."""

    asks: Sequence[Ask]
    log: OnTheLog
    rows: InClickHouse
    calls: Mapping[str, Sequence[Call]]
    """The provider's, by the name in the prompt."""
    poison: frozenset[Place] = frozenset()
    """What was planted to be unreadable."""


@dataclass(frozen=True, slots=True)
class Line:
    """One thing that must hold."""

    claim: str
    looked_at: int
    broken: Sequence[str] = ()
    """Those that it does not hold for; empty when all is well."""

    @property
    def holds(self) -> bool:
        return not self.broken


@dataclass(frozen=True, slots=True)
class Ledger:
    """All lines, and what is counted besides."""

    lines: Sequence[Line]
    counts: Mapping[str, int] = field(default_factory=dict)
    """What is allowed and told: repeats that a crash made, calls that were doubtful, what callers saw."""

    @property
    def holds(self) -> bool:
        return all(line.holds for line in self.lines)


def drawn_up(found: Evidence) -> Ledger:
    """Draw up the ledger of a run."""
    lines = (*_ends(found), *_replies(found), *_calls(found), *_rows(found), _letters(found))
    return Ledger(lines, _counts(found))


# --- every accepted request has one end


def _ends(found: Evidence) -> Iterable[Line]:
    log = found.log
    told = {ask.request_id for ask in found.asks if ask.accepted}
    yield Line("requests that a caller saw accepted are on the log", len(told), sorted(told - log.requests))
    ended = {request_id for request_id, ends in log.ends.items() if any(not end.replayed for end in ends)}
    yield Line("accepted requests are settled", len(log.requests), sorted(log.requests - ended))
    several = [request_id for request_id, ends in log.ends.items() if len({end.outcome for end in ends}) > 1]
    yield Line("a request has one final state, even if it is written twice", len(log.ends), sorted(several))


# --- who waits gets a reply


def _replies(found: Evidence) -> Iterable[Line]:
    http = [ask for ask in found.asks if ask.way in {"http", "stream"}]
    yield Line("HTTP callers that stay get a response", len(http), [ask.name for ask in http if ask.status is None])
    kafka = [ask for ask in found.asks if ask.way in TOPICS and ask.request_id in found.log.requests]
    silent = [ask.name for ask in kafka if not found.log.replies[ask.name]]
    yield Line("Kafka callers get their reply", len(kafka), silent)
    answers = [ask for ask in found.asks if ask.status == OK and not ask.code]
    garbled = [f"{ask.name}: {ask.text!r}" for ask in answers if ask.text != ANSWER]
    yield Line("answers are complete and in order", len(answers), garbled)


# --- nothing is paid twice


def _calls(found: Evidence) -> Iterable[Line]:
    """More than one call is right where one failed; one more that was paid only where one was in doubt, and `retry`."""
    ids = {ask.name: ask.request_id for ask in found.asks}
    unknown, unrecorded, twice, doubled = [], [], [], []
    for name, calls in found.calls.items():
        attempts = found.log.attempts.get(ids.get(name, ""), {})
        if name not in ids:
            unknown.append(name)
        if len(calls) > len(attempts):
            unrecorded.append(f"{name}: {len(calls)} calls, {len(attempts)} attempts")
        excused = sum(_may_be_paid_again(attempt) for attempt in attempts.values())
        paid = sum(call.fate == "paid" for call in calls)
        if calls[0].model != RETRIED:
            doubled += [name] if len(calls) > 1 else []
        elif paid > 1 + excused:
            twice.append(f"{name}: paid {paid} times, {excused} excused")
    yield Line("every provider call belongs to a request", len(found.calls), unknown)
    yield Line("every provider call is on the log", sum(map(len, found.calls.values())), unrecorded)
    retried = sum(calls[0].model == RETRIED for calls in found.calls.values())
    yield Line("`retry`: paid twice only if in doubt", retried, twice)
    yield Line("`fail`: never called twice", len(found.calls) - retried, doubled)


def _may_be_paid_again(attempt: Attempt) -> bool:
    """A crash or a pause left it in doubt, or it ended without an answer though the provider may have made one."""
    return attempt.in_doubt or attempt.error_type in {"timeout", "network"}


# --- everything is stored, once


def _rows(found: Evidence) -> Iterable[Line]:
    log, rows = found.log, found.rows
    yield Line("every record on the log has a row", len(log.sizes), _named(log.sizes.keys() - rows.events.keys()))
    yield Line("every row has a record on the log", len(rows.events), _named(rows.events.keys() - log.sizes.keys()))
    several = [place for place, sizes in rows.events.items() if len(sizes) > 1]
    yield Line("no record has two rows", len(rows.events), _named(several))
    both = log.sizes.keys() & rows.events.keys()
    yield Line(
        "rows have the size of their record", len(both), _named(p for p in both if rows.events[p][0] != log.sizes[p])
    )
    wrong = [
        f"{request_id}: {rows.requests.get(request_id, [])}"
        for request_id, ends in log.ends.items()
        if rows.requests.get(request_id, []) != [end.outcome for end in ends if not end.replayed][:1]
    ]
    yield Line("every settled request is one row of `requests`", len(log.ends), wrong)
    yield Line("`unsettled` is empty", 1, [f"{rows.unsettled} rows"] if rows.unsettled else [])


def _named(places: Iterable[Place]) -> list[str]:
    return ["/".join(map(str, place)) for place in sorted(places)]


def _letters(found: Evidence) -> Line:
    stray = {place for place in found.log.dead if place not in found.poison}
    return Line("only injected records are dead letters", len(found.log.dead), _named(stray))


# --- what is allowed, and told


def _counts(found: Evidence) -> dict[str, int]:
    log, calls = found.log, [call for of_one in found.calls.values() for call in of_one]
    attempts = [attempt for of_one in log.attempts.values() for attempt in of_one.values()]
    outcomes = [ends[0].outcome for request_id, ends in log.ends.items() if request_id in log.requests]
    told = Counter(ask.code for ask in found.asks if ask.code)
    return {
        "requests sent": len(found.asks),
        "requests accepted": len(log.requests),
        **{f"requests {outcome}": outcomes.count(outcome) for outcome in sorted(set(outcomes))},
        **{f"callers that got {code}": count for code, count in sorted(told.items())},
        "rejected by the ingress": len(log.ends.keys() - log.requests),
        "final states written again": sum(
            max(0, sum(not end.replayed for end in ends) - 1) for ends in log.ends.values()
        ),
        "replies written again": sum(max(0, times - 1) for times in log.replies.values()),
        "HTTP callers that had to retry": sum(ask.broken > 0 for ask in found.asks if ask.way not in TOPICS),
        "Kafka sends without acknowledgement": sum(ask.broken > 0 for ask in found.asks if ask.way in TOPICS),
        "provider calls": len(calls),
        "provider calls paid": sum(call.fate == "paid" for call in calls),
        "attempts in doubt": sum(attempt.in_doubt for attempt in attempts),
        "requests paid more than once": sum(
            sum(call.fate == "paid" for call in of_one) > 1 for of_one in found.calls.values()
        ),
        "log records": len(log.sizes),
        "dead letters": len(log.dead),
    }
