from __future__ import annotations

import pytest

from connectors.providers.provider import Call, ProviderError
from connectors.providers.simulated import Mood, Simulated
from schemas.events import Target
from streams import gates as gates_module
from streams.gate import Turn
from streams.gates import Gates

MOOD = Mood.model_validate({"max_in_flight": 1, "breaker": {"min_calls": 1}})
CALL = Call("r", "chat", "m", {"model": "m", "messages": []}, 1.0)


def a_target(model: str = "m", provider: str = "sim") -> Target:
    return Target(provider=provider, model=model, timeout_ms=1000)


def gates() -> Gates:
    return Gates({"sim": Simulated("sim", MOOD)}, {"sim": MOOD}, "w1", clock=lambda: 12.5)


async def test_a_change_of_state_is_news_that_names_the_target_the_worker_and_why() -> None:
    held = gates()
    turn = await held.of(a_target()).enter(1.0)
    assert isinstance(turn, Turn)

    held.of(a_target()).leave(turn, ProviderError("server", "down", http_status=500), 1.0)

    (news,) = held.news
    assert (news.provider, news.model, news.state, news.reason) == ("sim", "m", "open", "server")
    assert (news.failure_ratio, news.cooldown_ms, news.worker, news.changed_at) == (1.0, 5000, "w1", 12_500)


async def test_one_model_of_a_provider_may_fail_while_another_is_called() -> None:
    held = gates()
    turn = await held.of(a_target()).enter(1.0)
    assert isinstance(turn, Turn)
    held.of(a_target()).leave(turn, ProviderError("server", "down", http_status=500), 1.0)

    assert held.of(a_target()).closed_for_s() > 0
    assert held.of(a_target("other")).closed_for_s() == 0


async def test_all_models_of_a_provider_share_its_room() -> None:
    held = gates()

    assert isinstance(await held.of(a_target()).enter(1.0), Turn)
    assert await held.of(a_target("other")).enter(0.01) is None


async def test_who_is_not_configured_here_says_so() -> None:
    with pytest.raises(ProviderError, match="new is not configured"):
        await gates().of(a_target(provider="new")).provider("interactive").complete(CALL)


async def test_callers_that_invent_models_fill_no_memory(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(gates_module, "KEPT", 2)
    held = gates()
    first, second = held.of(a_target("1")), held.of(a_target("2"))

    assert held.of(a_target("1")) is first
    held.of(a_target("3"))

    assert held.of(a_target("1")) is first
    assert held.of(a_target("2")) is not second
