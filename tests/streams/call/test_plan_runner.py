from __future__ import annotations

import asyncio

import orjson
import pytest

from connectors.providers.key_rotation import KeyRotation
from connectors.providers.provider import ProviderAnswer, ProviderCall, ProviderError
from schemas.events.catalog import AttemptFinished, AttemptStarted, AttemptWithdrawn, RequestSettled
from schemas.events.parts import Usage
from schemas.kafka.headers import last_value
from schemas.kafka.records import ProducerRecord
from schemas.kafka.topics import MAX_ANSWER_BYTES
from streams.call.stage import CallStage
from streams.composition import call_config
from streams.config.settings import Settings
from streams.pipeline.stage import PartitionRevokedError
from tests.factories import now_ms, read, record, routed
from tests.streams.call.scripted_provider import SIM, Log, ScriptedProvider, answer, process, scripted_stage


async def test_attempt_is_written_before_the_call_and_after_it_with_the_answer() -> None:
    log = Log()

    async def look(call: ProviderCall) -> ProviderAnswer:
        assert [type(event) for event in log.events] == [AttemptStarted]
        return await answer(call)

    stage, provider = scripted_stage(look)
    event = routed("sim/echo", timeout_ms=4000)

    finished, settled = await process(event, stage, log)

    (started,) = log.events
    assert (started.attempt, started.provider, started.model, started.worker) == (1, "sim", "echo", "w1")
    assert started.expires_at == started.started_at + 4000
    assert isinstance(finished, AttemptFinished)
    assert orjson.loads(finished.body) == {"id": "1", "choices": []}
    assert finished.cost_usd == "0.00002"
    assert isinstance(settled, RequestSettled)
    assert (settled.outcome, settled.failure, settled.replayed) == ("answered", None, False)
    assert (settled.input, settled.output) == (event.body, finished.body)
    assert (settled.provider, settled.provider_model, settled.attempts) == ("sim", "echo", 1)
    assert (settled.response_id, settled.response_model, settled.finish_reasons) == ("1", "m-2", ("stop",))
    assert (settled.usage, settled.cost_usd) == (finished.usage, finished.cost_usd)
    assert (settled.admitted_at, settled.routed_at) == (event.admitted_at, event.routed_at)
    assert settled.called_at == started.started_at <= finished.finished_at == settled.answered_at
    assert settled.config_hash == "routed"
    assert provider.calls[0].body == orjson.loads(event.body)
    assert provider.calls[0].model == "echo"


async def test_attempts_have_the_partition_of_the_request_and_finish_after_a_revocation() -> None:
    log = Log()
    event = routed()

    finished, settled = await CallStage(call_config(Settings()), "w1").process(record(event, partition=2), log.emit)

    for output in (*log.outputs, finished):
        assert (output.topic, output.partition) == ("llm.attempts.v1", 2)
    assert [output.write_after_revocation for output in (*log.outputs, finished)] == [False, True]
    assert (settled.topic, settled.partition, settled.write_after_revocation) == ("llm.outcomes.v1", 2, False)
    assert {output.key for output in (*log.outputs, finished, settled)} == {event.request.request_id.encode()}
    assert last_value(finished.headers, "ce_id") == f"{event.request.request_id}/AttemptFinished/1".encode()
    assert last_value(settled.headers, "traceparent") == event.request.traceparent.encode()


async def test_failed_attempt_is_written_before_the_next_target_is_called() -> None:
    log = Log()

    finished, settled = await process(routed("sim/fail-auth", "spare/echo"), log=log)

    first, failed, second = log.events
    assert (first.provider, failed.error_type, failed.http_status, second.provider) == ("sim", "auth", 401, "spare")
    assert (first.attempt, failed.attempt, second.attempt, finished.attempt) == (1, 1, 2, 2)
    assert (settled.outcome, settled.provider, settled.attempts) == ("answered", "spare", 2)
    assert settled.called_at == first.started_at


async def test_outcome_has_the_last_error_when_all_targets_failed() -> None:
    finished, settled = await process(routed("sim/fail-auth", "spare/fail-quota_exhausted"))

    assert finished.error_type == "quota_exhausted"
    assert (settled.outcome, settled.failure.code, settled.failure.status) == ("failed", "insufficient_quota", 429)
    assert (settled.output, settled.answered_at, settled.provider, settled.attempts) == ("", None, "spare", 2)


async def test_transient_failure_is_retried_after_a_backoff() -> None:
    results = iter([TimeoutError(), None])

    async def recover(call: ProviderCall) -> ProviderAnswer:
        if error := next(results):
            raise error
        return await answer(call)

    stage, provider = scripted_stage(recover)
    log = Log()

    _, settled = await process(routed(), stage, log)

    assert (settled.outcome, settled.attempts, len(provider.calls)) == ("answered", 2, 2)
    second, first = log.events[2], log.events[1]
    assert second.started_at - first.finished_at >= 249


async def test_call_is_cancelled_at_the_timeout_of_the_target() -> None:
    _, settled = await process(routed("sim/hang", timeout_ms=50, max_attempts=1))

    assert (settled.outcome, settled.failure.code, settled.failure.status) == ("failed", "timeout", 504)


async def test_call_is_cancelled_at_the_deadline_and_the_request_expires() -> None:
    log = Log()

    finished, settled = await process(routed("sim/hang", deadline_at=now_ms() + 80), log=log)

    assert finished.error_type == "timeout"
    assert (settled.outcome, settled.failure.code, settled.attempts) == ("expired", "deadline_exceeded", 1)
    assert log.events[0].expires_at == settled.request.deadline_at


async def test_write_that_takes_until_the_deadline_prevents_the_call() -> None:
    stage, provider = scripted_stage(answer)

    async def slow(_: ProducerRecord) -> None:
        await asyncio.sleep(0.06)

    outputs = await stage.process(record(routed(deadline_at=now_ms() + 50)), slow)

    assert read(*outputs)[-1].outcome == "expired"
    assert not provider.calls


async def test_crash_of_an_adapter_fails_the_request() -> None:
    async def broken(_: ProviderCall) -> ProviderAnswer:
        raise KeyError("secret text")

    stage, _ = scripted_stage(broken)

    finished, settled = await process(routed(max_attempts=1), stage)

    assert (finished.error_type, settled.outcome, settled.failure.status) == ("server", "failed", 502)
    assert "secret" not in finished.error_message


async def test_unconfigured_provider_falls_back_to_the_next_target() -> None:
    _, settled = await process(routed("new/model", "sim/echo"))

    assert (settled.outcome, settled.provider) == ("answered", "sim")


@pytest.mark.parametrize("value", ["deep", "huge", "surrogate"])
async def test_response_that_can_not_be_recorded_is_a_failed_attempt_with_its_usage(value: str) -> None:
    deep: list[object] = []
    for _ in range(900):
        deep = [deep]
    extra: object = {"deep": deep, "huge": 2**200, "surrogate": "\ud800"}[value]

    async def unwritable(_: ProviderCall) -> ProviderAnswer:
        return ProviderAnswer({"choices": [], "extra": extra}, 200, Usage(input_tokens=7))

    stage, _ = scripted_stage(unwritable)

    finished, settled = await process(routed(max_attempts=1), stage)

    assert (finished.error_type, finished.usage.input_tokens, finished.http_status) == ("server", 7, 200)
    assert (settled.outcome, settled.failure.code) == ("failed", "server")


async def test_answer_larger_than_a_record_fails_the_request() -> None:
    async def long(_: ProviderCall) -> ProviderAnswer:
        return ProviderAnswer({"choices": ["x" * MAX_ANSWER_BYTES]}, 200, Usage())

    stage, _ = scripted_stage(long)

    finished, settled = await process(routed("sim/echo", "spare/echo"), stage)

    assert (finished.error_type, finished.body, settled.outcome) == ("answer_too_large", "", "failed")
    assert (settled.failure.status, settled.failure.code) == (413, "answer_too_large")
    assert str(MAX_ANSWER_BYTES) in settled.failure.message


@pytest.mark.parametrize("written", [False, True])
async def test_revocation_before_the_call_withdraws_a_written_attempt(written: bool) -> None:
    stage, provider = scripted_stage(answer)
    log = Log()

    async def lose(output: ProducerRecord) -> None:
        (event,) = read(output)
        if not isinstance(event, AttemptStarted):
            await log.emit(output)
            return
        raise PartitionRevokedError(already_written=written)

    with pytest.raises(PartitionRevokedError):
        await stage.process(record(routed()), lose)

    assert [(type(event), event.attempt) for event in log.events] == [(AttemptWithdrawn, 1)] * written
    assert not provider.calls


async def test_refused_key_is_followed_by_another_and_both_are_recorded() -> None:
    async def refuse(_: ProviderCall) -> ProviderAnswer:
        raise ProviderError("auth", "invalid key", http_status=401)

    settings = Settings.model_validate(SIM)
    keys = KeyRotation([ScriptedProvider(refuse), ScriptedProvider(answer)])
    stage, log = CallStage(call_config(settings), "w1", providers={"sim": keys}), Log()

    finished, settled = await process(routed(), stage, log)

    failed = log.events[1]
    assert (failed.error_type, failed.key_index, failed.another_key) == ("auth", 0, True)
    assert (finished.key_index, finished.attempt, settled.outcome) == (1, 2, "answered")
