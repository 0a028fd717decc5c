from __future__ import annotations

import asyncio

from schemas.kafka.headers import last_value
from schemas.kafka.records import ProducerRecord
from tests.eventually import eventually
from tests.factories import read, record, routed
from tests.streams.call.scripted_provider import Log, fail_with_500, process, stage_with_sensitive_breaker


async def test_state_change_is_written_to_the_health_topic() -> None:
    stage, _ = stage_with_sensitive_breaker(fail_with_500)
    log = Log()

    for _ in range(2):
        await process(routed(max_attempts=1), stage, log)

    await eventually(lambda: any(output.topic == "llm.health.v1" for output in log.outputs))
    (written,) = [output for output in log.outputs if output.topic == "llm.health.v1"]
    (event,) = read(written)
    assert (written.key, written.partition, last_value(written.headers, "request_id")) == (b"sim/echo", None, None)
    assert (event.state, event.reason, event.failure_ratio, event.worker) == ("open", "server", 1.0, "w1")


async def test_request_does_not_wait_for_the_health_topic() -> None:
    stage, _ = stage_with_sensitive_breaker(fail_with_500)

    async def block_health_topic(output: ProducerRecord) -> None:
        if output.topic == "llm.health.v1":
            await asyncio.Event().wait()

    for _ in range(2):
        await stage.process(record(routed("sim/echo", max_attempts=1)), block_health_topic)
    outputs = await stage.process(record(routed("sim/echo", "spare/echo")), block_health_topic)

    assert read(*outputs)[-1].outcome == "answered"
    await stage.close()
