"""The ledger: compares requests with the log, with callers' replies, with the provider's calls and with ClickHouse.

Pure. Each line has a claim, the number of things checked, and those that break the claim.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field

from tests.chaos.callers import TOPICS, SentRequest
from tests.chaos.mock_provider import ANSWER, ReceivedCall
from tests.chaos.verification.evidence import Attempt, LogContents, RecordId, StoredRows

OK = 200
RETRIED_MODEL = "again"
"""Model whose calls in doubt are retried."""


@dataclass(frozen=True, slots=True)
class Evidence:
    """Everything that a run has left."""

    requests: Sequence[SentRequest]
    log: LogContents
    rows: StoredRows
    calls: Mapping[str, Sequence[ReceivedCall]]
    """Calls that the provider received, by the request's name in the prompt."""
    poison: frozenset[RecordId] = frozenset()
    """Records that were injected to be undecodable."""


@dataclass(frozen=True, slots=True)
class LedgerLine:
    """One claim, and the things that break it."""

    claim: str
    checked: int
    broken: Sequence[str] = ()
    """Names of the things that break the claim."""

    @property
    def holds(self) -> bool:
        return not self.broken


@dataclass(frozen=True, slots=True)
class Ledger:
    """All claims, and counts."""

    lines: Sequence[LedgerLine]
    counts: Mapping[str, int] = field(default_factory=dict)
    """Numbers without a claim: repeats after a crash, calls in doubt, errors that callers got."""

    @property
    def holds(self) -> bool:
        return all(line.holds for line in self.lines)


def draw_up(found: Evidence) -> Ledger:
    """Check the evidence of a run."""
    lines = (
        *_check_final_states(found),
        *_check_replies(found),
        *_check_calls(found),
        *_check_rows(found),
        _check_dead_letters(found),
    )
    return Ledger(lines, _count(found))


# --- every accepted request has one final state


def _check_final_states(found: Evidence) -> Iterable[LedgerLine]:
    log = found.log
    accepted = {request.request_id for request in found.requests if request.accepted}
    yield LedgerLine(
        "requests that a caller saw accepted are on the log", len(accepted), sorted(accepted - log.requests)
    )
    ended = {request_id for request_id, ends in log.final_states.items() if any(not end.replayed for end in ends)}
    yield LedgerLine("accepted requests are settled", len(log.requests), sorted(log.requests - ended))
    several = [request_id for request_id, ends in log.final_states.items() if len({end.outcome for end in ends}) > 1]
    yield LedgerLine(
        "a request has one final state, even if it is written twice", len(log.final_states), sorted(several)
    )


# --- every waiting caller gets a reply


def _check_replies(found: Evidence) -> Iterable[LedgerLine]:
    http = [request for request in found.requests if request.kind in {"http", "stream"}]
    yield LedgerLine(
        "HTTP callers that stay get a response", len(http), [request.name for request in http if request.status is None]
    )
    kafka = [
        request for request in found.requests if request.kind in TOPICS and request.request_id in found.log.requests
    ]
    silent = [request.name for request in kafka if not found.log.replies[request.name]]
    yield LedgerLine("Kafka callers get their reply", len(kafka), silent)
    answers = [request for request in found.requests if request.status == OK and not request.code]
    garbled = [f"{request.name}: {request.text!r}" for request in answers if request.text != ANSWER]
    yield LedgerLine("answers are complete and in order", len(answers), garbled)


# --- nothing is paid twice


def _check_calls(found: Evidence) -> Iterable[LedgerLine]:
    """Check calls: several are allowed after a failure; a second paid one only with `retry` and after one in doubt."""
    ids = {request.name: request.request_id for request in found.requests}
    unknown, unrecorded, twice, doubled = [], [], [], []
    for name, calls in found.calls.items():
        attempts = found.log.attempts.get(ids.get(name, ""), {})
        if name not in ids:
            unknown.append(name)
        if len(calls) > len(attempts):
            unrecorded.append(f"{name}: {len(calls)} calls, {len(attempts)} attempts")
        excused = sum(_may_be_paid_again(attempt) for attempt in attempts.values())
        paid = sum(call.status == "paid" for call in calls)
        if calls[0].model != RETRIED_MODEL:
            doubled += [name] if len(calls) > 1 else []
        elif paid > 1 + excused:
            twice.append(f"{name}: paid {paid} times, {excused} excused")
    yield LedgerLine("every provider call belongs to a request", len(found.calls), unknown)
    yield LedgerLine("every provider call is on the log", sum(map(len, found.calls.values())), unrecorded)
    retried = sum(calls[0].model == RETRIED_MODEL for calls in found.calls.values())
    yield LedgerLine("`retry`: paid twice only if in doubt", retried, twice)
    yield LedgerLine("`fail`: never called twice", len(found.calls) - retried, doubled)


def _may_be_paid_again(attempt: Attempt) -> bool:
    """Return whether a crash or a pause left it in doubt, or it failed although the provider may have answered."""
    return attempt.in_doubt or attempt.error_type in {"timeout", "network"}


# --- every record is stored once


def _check_rows(found: Evidence) -> Iterable[LedgerLine]:
    log, rows = found.log, found.rows
    yield LedgerLine("every record on the log has a row", len(log.sizes), _names(log.sizes.keys() - rows.events.keys()))
    yield LedgerLine(
        "every row has a record on the log", len(rows.events), _names(rows.events.keys() - log.sizes.keys())
    )
    several = [record for record, sizes in rows.events.items() if len(sizes) > 1]
    yield LedgerLine("no record has two rows", len(rows.events), _names(several))
    both = log.sizes.keys() & rows.events.keys()
    yield LedgerLine(
        "rows have the size of their record", len(both), _names(r for r in both if rows.events[r][0] != log.sizes[r])
    )
    wrong = [
        f"{request_id}: {rows.requests.get(request_id, [])}"
        for request_id, ends in log.final_states.items()
        if rows.requests.get(request_id, []) != [end.outcome for end in ends if not end.replayed][:1]
    ]
    yield LedgerLine("every settled request is one row of `requests`", len(log.final_states), wrong)
    yield LedgerLine("`unsettled` is empty", 1, [f"{rows.unsettled} rows"] if rows.unsettled else [])


def _names(records: Iterable[RecordId]) -> list[str]:
    return ["/".join(map(str, record)) for record in sorted(records)]


def _check_dead_letters(found: Evidence) -> LedgerLine:
    stray = {record for record in found.log.dead_letters if record not in found.poison}
    return LedgerLine("only injected records are dead letters", len(found.log.dead_letters), _names(stray))


# --- counts


def _count(found: Evidence) -> dict[str, int]:
    log, calls = found.log, [call for of_one in found.calls.values() for call in of_one]
    attempts = [attempt for of_one in log.attempts.values() for attempt in of_one.values()]
    outcomes = [ends[0].outcome for request_id, ends in log.final_states.items() if request_id in log.requests]
    codes = Counter(request.code for request in found.requests if request.code)
    return {
        "requests sent": len(found.requests),
        "requests accepted": len(log.requests),
        **{f"requests {outcome}": outcomes.count(outcome) for outcome in sorted(set(outcomes))},
        **{f"callers that got {code}": count for code, count in sorted(codes.items())},
        "rejected by the ingress": len(log.final_states.keys() - log.requests),
        "final states written again": sum(
            max(0, sum(not end.replayed for end in ends) - 1) for ends in log.final_states.values()
        ),
        "replies written again": sum(max(0, times - 1) for times in log.replies.values()),
        "HTTP callers that had to retry": sum(
            request.retries > 0 for request in found.requests if request.kind not in TOPICS
        ),
        "Kafka sends without acknowledgement": sum(
            request.retries > 0 for request in found.requests if request.kind in TOPICS
        ),
        "provider calls": len(calls),
        "provider calls paid": sum(call.status == "paid" for call in calls),
        "attempts in doubt": sum(attempt.in_doubt for attempt in attempts),
        "requests paid more than once": sum(
            sum(call.status == "paid" for call in of_one) > 1 for of_one in found.calls.values()
        ),
        "log records": len(log.sizes),
        "dead letters": len(log.dead_letters),
    }
