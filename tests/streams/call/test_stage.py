from __future__ import annotations

import asyncio

import pytest

from connectors.providers.provider import ProviderAnswer, ProviderCall
from streams.pipeline.stage import DeadLetterError
from tests.eventually import eventually
from tests.factories import admitted, now_ms, read, record, routed
from tests.streams.call.scripted_provider import Log, answer, process, scripted_stage


async def test_expired_request_is_settled_without_a_call() -> None:
    stage, provider = scripted_stage(answer)
    log = Log()

    (settled,) = await process(routed(deadline_at=now_ms() - 1), stage, log)

    assert (settled.outcome, settled.attempts, settled.called_at) == ("expired", 0, None)
    assert not provider.calls
    assert not log.outputs


async def test_concurrent_calls_need_no_further_tasks() -> None:
    release_calls = asyncio.Event()

    async def wait(call: ProviderCall) -> ProviderAnswer:
        await release_calls.wait()
        return await answer(call)

    stage, provider = scripted_stage(wait)
    before = len(asyncio.all_tasks())
    working = [asyncio.create_task(process(routed(), stage)) for _ in range(200)]
    await eventually(lambda: len(provider.calls) == 200)

    assert len(asyncio.all_tasks()) == before + 200
    release_calls.set()
    assert all(events[-1].outcome == "answered" for events in await asyncio.gather(*working))


@pytest.mark.parametrize("body", ["[]", "nothing", ""])
async def test_body_that_is_not_a_json_object_is_a_dead_letter(body: str) -> None:
    with pytest.raises(DeadLetterError):
        await process(routed(body=body))


async def test_event_of_another_class_is_a_dead_letter() -> None:
    with pytest.raises(DeadLetterError, match="RequestAdmitted"):
        await process(record(admitted()))


async def test_close_closes_the_providers() -> None:
    stage, provider = scripted_stage(answer)

    await stage.close()

    assert provider.closed


async def test_expired_backlog_is_settled_without_a_call() -> None:
    stage, provider = scripted_stage(answer)
    past = now_ms() - 1
    events = [routed(deadline_at=past, lane=lane) for lane in ("interactive", "batch") for _ in range(500)]

    log = Log()
    ends = [await process(event, stage, log) for event in events]

    assert {settled.outcome for (settled,) in ends} == {"expired"}
    assert (provider.calls, log.outputs) == ([], [])


async def test_request_on_which_the_stage_raised_is_settled_as_failed() -> None:
    event = routed(body="[]")
    stage, _ = scripted_stage(answer)

    (settled,) = read(*stage.end_after_failure(record(event)))

    assert (settled.outcome, settled.failure.code) == ("failed", "internal_error")
    assert settled.request == event.request
