"""The ledger finds what it is there to find: each of these plants one fault into a run that was well."""

from __future__ import annotations

import time
from collections import Counter
from collections.abc import Callable

import pytest

from tests.chaos.callers import Ask
from tests.chaos.double import ANSWER, Call
from tests.chaos.evidence import Attempt, End, InClickHouse, OnTheLog, Place
from tests.chaos.ledger import Evidence, Ledger, drawn_up

OUTCOMES, REQUESTS, LETTERS = "llm.outcomes.v1", "llm.requests.v1", "llm.outcomes.v1-dlt"
ASKED: tuple[Ask, ...] = (
    Ask("http-0", "http", "again", 0.0),
    Ask("stream-1", "stream", "once", 0.0),
    Ask("kafka-2", "kafka", "again", 0.0),
    Ask("leaving-3", "leaving", "once", 0.0),
)


def well() -> Evidence:
    """A run of four requests, all answered, all stored."""
    asks = [Ask(ask.name, ask.way, ask.model, time.time()) for ask in ASKED]
    log, rows = OnTheLog(), InClickHouse()
    for offset, ask in enumerate(asks):
        ask.accepted = ask.way != "leaving"
        ask.status, ask.text = (200, ANSWER) if ask.accepted else (None, "")
        log.requests.add(ask.request_id)
        log.ends[ask.request_id] = [End("answered", replayed=False)]
        log.attempts[ask.request_id] = {(1, "call-0"): Attempt(finished=True)}
        rows.requests[ask.request_id] = ["answered"]
        for place in ((REQUESTS, 0, offset), (OUTCOMES, 0, offset)):
            log.sizes[place] = 100
            rows.events[place] = [100]
    log.replies = Counter({"kafka-2": 1})
    calls = {ask.name: [Call(ask.model, 0.0, "paid")] for ask in asks}
    return Evidence(asks, log, rows, calls)


def broken(ledger: Ledger) -> dict[str, list[str]]:
    return {line.claim: list(line.broken) for line in ledger.lines if not line.holds}


def id_of(name: str) -> str:
    return next(ask.request_id for ask in ASKED if ask.name == name)


def test_a_run_that_was_well_holds_and_has_looked_at_everything() -> None:
    ledger = drawn_up(well())

    assert ledger.holds
    assert all(line.looked_at for line in ledger.lines if "dead letter" not in line.claim)


def _lose_at_the_door(run: Evidence) -> None:
    run.log.requests.discard(id_of("http-0"))


def _lose_an_end(run: Evidence) -> None:
    del run.log.ends[id_of("leaving-3")]
    del run.rows.requests[id_of("leaving-3")]


def _keep_but_a_replay(run: Evidence) -> None:
    run.log.ends[id_of("http-0")] = [End("answered", replayed=True)]
    del run.rows.requests[id_of("http-0")]


def _end_it_two_ways(run: Evidence) -> None:
    run.log.ends[id_of("http-0")].append(End("failed", replayed=False))


def _answer_nobody(run: Evidence) -> None:
    run.asks[1].status = None


def _drop_a_reply(run: Evidence) -> None:
    del run.log.replies["kafka-2"]


def _swap_two_chunks(run: Evidence) -> None:
    run.asks[1].text = "finds Water " + ANSWER[12:]


def _call_out_of_the_blue(run: Evidence) -> None:
    run.calls["nobody-9"] = [Call("again", 0.0, "refused")]  # type: ignore[index]


def _call_without_a_note(run: Evidence) -> None:
    run.calls["http-0"].append(Call("again", 0.0, "refused"))  # type: ignore[attr-defined]


def _pay_twice(run: Evidence) -> None:
    run.calls["http-0"].append(Call("again", 0.0, "paid"))  # type: ignore[attr-defined]
    run.log.attempts[id_of("http-0")][2, "call-1"] = Attempt(finished=True)


def _call_twice_though_it_may_not(run: Evidence) -> None:
    run.calls["stream-1"].append(Call("once", 0.0, "refused"))  # type: ignore[attr-defined]
    run.log.attempts[id_of("stream-1")][2, "call-1"] = Attempt()


def _lose_a_row(run: Evidence) -> None:
    del run.rows.events[OUTCOMES, 0, 1]


def _make_a_row_up(run: Evidence) -> None:
    run.rows.events[OUTCOMES, 0, 99] = [100]


def _show_a_row_twice(run: Evidence) -> None:
    run.rows.events[OUTCOMES, 0, 1].append(100)


def _change_a_row(run: Evidence) -> None:
    run.rows.events[OUTCOMES, 0, 1] = [99]


def _count_a_request_twice(run: Evidence) -> None:
    run.rows.requests[id_of("http-0")].append("answered")


def _tell_another_end(run: Evidence) -> None:
    run.rows.requests[id_of("http-0")] = ["failed"]


def _leave_one_unsettled(run: Evidence) -> None:
    run.rows.unsettled = 1


def _bury_one(run: Evidence) -> None:
    run.log.dead.append((OUTCOMES, 0, 1))


@pytest.mark.parametrize(
    ("plant", "claim"),
    [
        (_lose_at_the_door, "requests that a caller saw accepted are on the log"),
        (_lose_an_end, "accepted requests are settled"),
        (_keep_but_a_replay, "accepted requests are settled"),
        (_end_it_two_ways, "a request has one final state, even if it is written twice"),
        (_answer_nobody, "HTTP callers that stay get a response"),
        (_drop_a_reply, "Kafka callers get their reply"),
        (_swap_two_chunks, "answers are complete and in order"),
        (_call_out_of_the_blue, "every provider call belongs to a request"),
        (_call_without_a_note, "every provider call is on the log"),
        (_pay_twice, "`retry`: paid twice only if in doubt"),
        (_call_twice_though_it_may_not, "`fail`: never called twice"),
        (_lose_a_row, "every record on the log has a row"),
        (_make_a_row_up, "every row has a record on the log"),
        (_show_a_row_twice, "no record has two rows"),
        (_change_a_row, "rows have the size of their record"),
        (_count_a_request_twice, "every settled request is one row of `requests`"),
        (_tell_another_end, "every settled request is one row of `requests`"),
        (_leave_one_unsettled, "`unsettled` is empty"),
        (_bury_one, "only injected records are dead letters"),
    ],
)
def test_what_is_wrong_is_found_and_named(plant: Callable[[Evidence], None], claim: str) -> None:
    run = well()

    plant(run)

    ledger = drawn_up(run)
    assert not ledger.holds
    assert broken(ledger)[claim]


def test_a_call_that_was_in_doubt_may_be_paid_again_where_the_route_says_so() -> None:
    run = well()
    run.calls["http-0"].append(Call("again", 0.0, "paid"))  # type: ignore[attr-defined]
    run.log.attempts[id_of("http-0")] = {(1, "call-0"): Attempt(), (2, "call-1"): Attempt(finished=True)}

    ledger = drawn_up(run)

    assert ledger.holds
    assert ledger.counts["requests paid more than once"] == 1


def test_an_end_that_a_crash_wrote_again_is_told_and_is_no_fault() -> None:
    run = well()
    run.log.ends[id_of("http-0")].append(End("answered", replayed=False))

    ledger = drawn_up(run)

    assert ledger.holds
    assert ledger.counts["final states written again"] == 1


def test_a_record_that_was_planted_may_die() -> None:
    run = well()
    poison: Place = (OUTCOMES, 0, 2)
    run.log.dead.append(poison)
    run.log.sizes[LETTERS, 0, 0] = 10
    run.rows.events[LETTERS, 0, 0] = [10]

    ledger = drawn_up(Evidence(run.asks, run.log, run.rows, run.calls, frozenset({poison})))

    assert ledger.holds
