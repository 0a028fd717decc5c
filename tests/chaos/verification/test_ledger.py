"""Tests of the ledger: each adds one inconsistency to the evidence of a correct run."""

from __future__ import annotations

import time
from collections import Counter
from collections.abc import Callable

import pytest

from tests.chaos.callers import SentRequest
from tests.chaos.mock_provider import ANSWER, ReceivedCall
from tests.chaos.verification.evidence import Attempt, FinalState, LogContents, RecordId, StoredRows
from tests.chaos.verification.ledger import Evidence, Ledger, draw_up

OUTCOMES, REQUESTS, LETTERS = "llm.outcomes.v1", "llm.requests.v1", "llm.outcomes.v1-dlt"
REQUESTS_SENT: tuple[SentRequest, ...] = (
    SentRequest("http-0", "http", "again", 0.0),
    SentRequest("stream-1", "stream", "once", 0.0),
    SentRequest("kafka-2", "kafka", "again", 0.0),
    SentRequest("disconnecting-3", "disconnecting", "once", 0.0),
)


def correct_run() -> Evidence:
    """Return the evidence of four requests, all answered and stored."""
    requests = [SentRequest(request.name, request.kind, request.model, time.time()) for request in REQUESTS_SENT]
    log, rows = LogContents(), StoredRows()
    for offset, request in enumerate(requests):
        request.accepted = request.kind != "disconnecting"
        request.status, request.text = (200, ANSWER) if request.accepted else (None, "")
        log.requests.add(request.request_id)
        log.final_states[request.request_id] = [FinalState("answered", replayed=False)]
        log.attempts[request.request_id] = {(1, "call-0"): Attempt(finished=True)}
        rows.requests[request.request_id] = ["answered"]
        for record in ((REQUESTS, 0, offset), (OUTCOMES, 0, offset)):
            log.sizes[record] = 100
            rows.events[record] = [100]
    log.replies = Counter({"kafka-2": 1})
    calls = {request.name: [ReceivedCall(request.model, 0.0, "paid")] for request in requests}
    return Evidence(requests, log, rows, calls)


def broken_claims(ledger: Ledger) -> dict[str, list[str]]:
    return {line.claim: list(line.broken) for line in ledger.lines if not line.holds}


def id_of(name: str) -> str:
    return next(request.request_id for request in REQUESTS_SENT if request.name == name)


def test_ledger_of_a_correct_run_holds_and_has_checked_every_claim() -> None:
    ledger = draw_up(correct_run())

    assert ledger.holds
    assert all(line.checked for line in ledger.lines if "dead letter" not in line.claim)


def _lose_an_accepted_request(run: Evidence) -> None:
    run.log.requests.discard(id_of("http-0"))


def _lose_a_final_state(run: Evidence) -> None:
    del run.log.final_states[id_of("disconnecting-3")]
    del run.rows.requests[id_of("disconnecting-3")]


def _keep_only_a_replay(run: Evidence) -> None:
    run.log.final_states[id_of("http-0")] = [FinalState("answered", replayed=True)]
    del run.rows.requests[id_of("http-0")]


def _add_a_second_final_state(run: Evidence) -> None:
    run.log.final_states[id_of("http-0")].append(FinalState("failed", replayed=False))


def _drop_an_http_response(run: Evidence) -> None:
    run.requests[1].status = None


def _drop_a_reply(run: Evidence) -> None:
    del run.log.replies["kafka-2"]


def _swap_two_chunks(run: Evidence) -> None:
    run.requests[1].text = "finds Water " + ANSWER[12:]


def _call_without_a_request(run: Evidence) -> None:
    run.calls["unknown-9"] = [ReceivedCall("again", 0.0, "refused")]  # type: ignore[index]


def _call_without_an_attempt(run: Evidence) -> None:
    run.calls["http-0"].append(ReceivedCall("again", 0.0, "refused"))  # type: ignore[attr-defined]


def _pay_twice(run: Evidence) -> None:
    run.calls["http-0"].append(ReceivedCall("again", 0.0, "paid"))  # type: ignore[attr-defined]
    run.log.attempts[id_of("http-0")][2, "call-1"] = Attempt(finished=True)


def _call_twice_with_fail(run: Evidence) -> None:
    run.calls["stream-1"].append(ReceivedCall("once", 0.0, "refused"))  # type: ignore[attr-defined]
    run.log.attempts[id_of("stream-1")][2, "call-1"] = Attempt()


def _lose_a_row(run: Evidence) -> None:
    del run.rows.events[OUTCOMES, 0, 1]


def _add_a_row_without_a_record(run: Evidence) -> None:
    run.rows.events[OUTCOMES, 0, 99] = [100]


def _duplicate_a_row(run: Evidence) -> None:
    run.rows.events[OUTCOMES, 0, 1].append(100)


def _change_a_row(run: Evidence) -> None:
    run.rows.events[OUTCOMES, 0, 1] = [99]


def _duplicate_a_request(run: Evidence) -> None:
    run.rows.requests[id_of("http-0")].append("answered")


def _change_an_outcome(run: Evidence) -> None:
    run.rows.requests[id_of("http-0")] = ["failed"]


def _leave_one_unsettled(run: Evidence) -> None:
    run.rows.unsettled = 1


def _add_a_dead_letter(run: Evidence) -> None:
    run.log.dead_letters.append((OUTCOMES, 0, 1))


@pytest.mark.parametrize(
    ("corrupt", "claim"),
    [
        (_lose_an_accepted_request, "requests that a caller saw accepted are on the log"),
        (_lose_a_final_state, "accepted requests are settled"),
        (_keep_only_a_replay, "accepted requests are settled"),
        (_add_a_second_final_state, "a request has one final state, even if it is written twice"),
        (_drop_an_http_response, "HTTP callers that stay get a response"),
        (_drop_a_reply, "Kafka callers get their reply"),
        (_swap_two_chunks, "answers are complete and in order"),
        (_call_without_a_request, "every provider call belongs to a request"),
        (_call_without_an_attempt, "every provider call is on the log"),
        (_pay_twice, "`retry`: paid twice only if in doubt"),
        (_call_twice_with_fail, "`fail`: never called twice"),
        (_lose_a_row, "every record on the log has a row"),
        (_add_a_row_without_a_record, "every row has a record on the log"),
        (_duplicate_a_row, "no record has two rows"),
        (_change_a_row, "rows have the size of their record"),
        (_duplicate_a_request, "every settled request is one row of `requests`"),
        (_change_an_outcome, "every settled request is one row of `requests`"),
        (_leave_one_unsettled, "`unsettled` is empty"),
        (_add_a_dead_letter, "only injected records are dead letters"),
    ],
)
def test_ledger_names_the_claim_that_an_inconsistency_breaks(corrupt: Callable[[Evidence], None], claim: str) -> None:
    run = correct_run()

    corrupt(run)

    ledger = draw_up(run)
    assert not ledger.holds
    assert broken_claims(ledger)[claim]


def test_call_in_doubt_may_be_paid_again_with_retry() -> None:
    run = correct_run()
    run.calls["http-0"].append(ReceivedCall("again", 0.0, "paid"))  # type: ignore[attr-defined]
    run.log.attempts[id_of("http-0")] = {(1, "call-0"): Attempt(), (2, "call-1"): Attempt(finished=True)}

    ledger = draw_up(run)

    assert ledger.holds
    assert ledger.counts["requests paid more than once"] == 1


def test_final_state_written_twice_is_counted_and_breaks_no_claim() -> None:
    run = correct_run()
    run.log.final_states[id_of("http-0")].append(FinalState("answered", replayed=False))

    ledger = draw_up(run)

    assert ledger.holds
    assert ledger.counts["final states written again"] == 1


def test_injected_record_may_become_a_dead_letter() -> None:
    run = correct_run()
    poison: RecordId = (OUTCOMES, 0, 2)
    run.log.dead_letters.append(poison)
    run.log.sizes[LETTERS, 0, 0] = 10
    run.rows.events[LETTERS, 0, 0] = [10]

    ledger = draw_up(Evidence(run.requests, run.log, run.rows, run.calls, frozenset({poison})))

    assert ledger.holds
