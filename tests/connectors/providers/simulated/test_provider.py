from __future__ import annotations

import asyncio
import time
from typing import Any

import pytest

from connectors.providers import make_provider, parse_settings
from connectors.providers.provider import Provider, ProviderAnswer, ProviderCall, ProviderError
from connectors.providers.simulated.provider import STATUS
from schemas.events.vocabulary import ErrorType
from schemas.json_types import JsonObject

BODY: JsonObject = {"messages": [{"role": "user", "content": "first"}, {"role": "user", "content": "say this"}]}


def simulated(**settings: Any) -> Provider:
    return make_provider("sim", parse_settings({"kind": "simulated", **settings}))


def a_call(model: str = "any", body: JsonObject | None = None) -> ProviderCall:
    return ProviderCall("r1", "chat", model, BODY if body is None else body, 5.0)


async def outcome(provider: Provider, model: str = "any") -> str:
    try:
        await provider.complete(a_call(model))
    except ProviderError as error:
        return error.error_type
    return "answered"


def content(answer: ProviderAnswer) -> str:
    return str(answer.body["choices"][0]["message"]["content"])


async def test_echo_repeats_the_last_user_message_and_is_marked_simulated() -> None:
    answer = await simulated().complete(a_call("echo"))

    assert content(answer) == "say this"
    assert answer.body["system_fingerprint"] == "simulated"
    assert answer.usage.input_tokens == 2 + 2
    assert answer.usage.output_tokens == 2


async def test_same_request_has_the_same_answer_in_every_worker() -> None:
    first, second = await simulated().complete(a_call()), await simulated().complete(a_call())

    assert first == second


async def test_failures_follow_their_rate_deterministically() -> None:
    one, other = (simulated(failure_rate=0.3, failures=["server", "capacity"]) for _ in range(2))

    outcomes = [await outcome(one) for _ in range(400)]

    assert outcomes == [await outcome(other) for _ in range(400)]
    assert 80 < len(outcomes) - outcomes.count("answered") < 160
    assert set(outcomes) == {"answered", "server", "capacity"}


@pytest.mark.parametrize("error_type", STATUS)
async def test_model_name_requests_each_failure(error_type: ErrorType) -> None:
    with pytest.raises(ProviderError) as caught:
        await simulated().complete(a_call(f"fail-{error_type}"))

    assert caught.value.error_type == error_type
    assert caught.value.http_status == STATUS[error_type]


async def test_unknown_failure_is_not_found() -> None:
    assert await outcome(simulated(), "fail-of-rome") == "not_found"


async def test_model_name_overrides_settings_of_one_call() -> None:
    provider = simulated()

    outcomes = [await outcome(provider, "echo?failure_rate=1&failures=auth,auth"), await outcome(provider, "echo")]

    assert outcomes == ["auth", "answered"]


@pytest.mark.parametrize("query", ["latency_ms=-1", "colour=blue", "failures=nonsense"])
async def test_invalid_override_is_invalid_request(query: str) -> None:
    assert await outcome(simulated(), f"echo?{query}") == "invalid_request"


async def test_latency_and_jitter_are_added() -> None:
    started = time.monotonic()

    await simulated(latency_ms=30, jitter_ms=10).complete(a_call())

    assert 0.029 <= time.monotonic() - started < 5


@pytest.mark.parametrize(("settings", "model"), [({}, "hang"), ({"hang_rate": 1.0}, "any")])
async def test_hanging_call_ends_only_by_cancellation(settings: JsonObject, model: str) -> None:
    with pytest.raises(TimeoutError):
        await asyncio.wait_for(simulated(**settings).complete(a_call(model)), 0.05)


async def test_calls_above_the_rate_limit_are_refused_with_a_delay() -> None:
    provider = simulated(rate_limit_rps=5)

    outcomes = [await outcome(provider) for _ in range(6)]

    assert outcomes == ["answered"] * 5 + ["rate_limited"]
    with pytest.raises(ProviderError) as caught:
        await provider.complete(a_call())
    assert caught.value.retry_after_s is not None
    assert 0 < caught.value.retry_after_s <= 0.2


async def test_rate_below_one_per_second_passes_single_calls() -> None:
    provider = simulated(rate_limit_rps=0.01)

    assert [await outcome(provider), await outcome(provider)] == ["answered", "rate_limited"]


async def test_counted_requests_are_bounded(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("connectors.providers.simulated.provider.COUNTED_REQUESTS", 3)
    provider = simulated()

    for number in range(10):
        await provider.complete(a_call(body={"messages": [], "seed": number}))

    assert len(getattr(provider, "_counts")) == 3  # noqa: B009 - the protocol does not have it
