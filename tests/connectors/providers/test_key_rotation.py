from __future__ import annotations

from collections.abc import AsyncIterator
from typing import ClassVar

import pytest
from pydantic import ValidationError

from connectors.providers import make_provider, parse_settings
from connectors.providers.key_rotation import KEY_COOLDOWN_S, KeyRotation
from connectors.providers.provider import ProviderAnswer, ProviderCall, ProviderError
from connectors.providers.resilience import Budget, RateState
from connectors.providers.settings import ProviderSettings
from schemas.events.parts import Usage
from schemas.events.vocabulary import ErrorType
from schemas.json_types import JsonObject

CALL = ProviderCall("r", "chat", "m", {"model": "m", "messages": []}, 1.0)
ANSWER = ProviderAnswer({}, 200, Usage())


class Key:
    """Scripted provider with one key: it answers, or raises the configured error."""

    Settings: ClassVar[type[ProviderSettings]] = ProviderSettings

    def __init__(self) -> None:
        self.error: ProviderError | None = None
        self.answer = ANSWER
        self.calls = 0
        self.closed = False

    def fails(self, error_type: ErrorType, hint_s: float | None = None) -> None:
        self.error = ProviderError(error_type, "no", http_status=400, retry_after_s=hint_s)

    async def complete(self, _: ProviderCall) -> ProviderAnswer:
        self.calls += 1
        if self.error is not None:
            raise self.error
        return self.answer

    async def stream(self, call: ProviderCall) -> AsyncIterator[JsonObject | ProviderAnswer]:
        yield {"choices": []}
        yield await self.complete(call)

    async def close(self) -> None:
        self.closed = True


class Keys:
    """Key rotation with a clock that a test moves."""

    def __init__(self, count: int = 2) -> None:
        self.now_s = 100.0
        self.keys = [Key() for _ in range(count)]
        self.rotation = KeyRotation(self.keys, clock=lambda: self.now_s)

    async def called(self, times: int) -> list[int | None]:
        """Return the indexes of the used keys."""
        return [await self._one() for _ in range(times)]

    async def _one(self) -> int | None:
        try:
            return (await self.rotation.complete(CALL)).key_index
        except ProviderError as error:
            return error.key_index

    async def failed(self) -> ProviderError:
        with pytest.raises(ProviderError) as raised:
            await self.rotation.complete(CALL)
        return raised.value


async def test_keys_are_used_round_robin() -> None:
    assert await Keys(3).called(5) == [0, 1, 2, 0, 1]


@pytest.mark.parametrize("error_type", sorted(KEY_COOLDOWN_S))
async def test_refused_key_cools_down_while_others_are_used(error_type: ErrorType) -> None:
    held = Keys(3)
    held.keys[0].fails(error_type)

    assert (await held.failed()).retry_with_other_key
    assert await held.called(4) == [1, 2, 1, 2]
    held.now_s += KEY_COOLDOWN_S[error_type]
    assert 0 in await held.called(3)


async def test_cooldown_is_the_providers_retry_delay() -> None:
    held = Keys()
    held.keys[0].fails("rate_limited", hint_s=60.0)
    await held.failed()

    held.now_s += 59.0
    assert await held.called(2) == [1, 1]
    held.now_s += 1.0
    assert await held.called(1) == [0]


async def test_error_of_another_type_starts_no_cooldown() -> None:
    held = Keys()
    held.keys[0].fails("server")

    assert not (await held.failed()).retry_with_other_key
    assert await held.called(3) == [1, 0, 1]


async def test_key_with_the_shortest_cooldown_is_used_when_all_cool_down() -> None:
    held = Keys()
    held.keys[0].fails("auth")
    held.keys[1].fails("rate_limited")
    await held.failed()

    assert not (await held.failed()).retry_with_other_key
    assert await held.called(2) == [1, 1]


async def test_key_with_an_exhausted_rate_limit_cools_down() -> None:
    held = Keys()
    held.keys[0].answer = ProviderAnswer({}, 200, Usage(), rates=RateState(Budget(60, 0, 20.0)))

    answer = await held.rotation.complete(CALL)

    assert answer.rates is None
    assert await held.called(2) == [1, 1]


async def test_streams_rotate_keys() -> None:
    held = Keys()
    held.keys[0].fails("rate_limited")

    with pytest.raises(ProviderError) as raised:
        [item async for item in held.rotation.stream(CALL)]
    items = [item async for item in held.rotation.stream(CALL)]

    assert raised.value.retry_with_other_key
    assert isinstance(items[-1], ProviderAnswer)
    assert (items[0], items[-1].key_index) == ({"choices": []}, 1)


async def test_close_closes_all_providers() -> None:
    held = Keys()

    await held.rotation.close()

    assert all(key.closed for key in held.keys)


async def test_each_key_has_a_provider_and_no_key_is_in_its_repr() -> None:
    settings = parse_settings({"kind": "openai", "api_key": "sk-1", "api_keys": ["sk-2", "sk-3"]})

    made = make_provider("p", settings)

    assert isinstance(made, KeyRotation)
    assert not isinstance(make_provider("p", settings.model_copy(update={"api_keys": ()})), KeyRotation)
    await made.close()
    assert "sk-" not in settings.model_dump_json() + repr(settings)


@pytest.mark.parametrize("wrong", [{"api_keys": ["k"]}, {"api_key": "k", "api_keys": ["a\nb"]}])
def test_api_keys_require_api_key_and_are_validated(wrong: JsonObject) -> None:
    with pytest.raises(ValidationError):
        parse_settings({"kind": "openai", "base_url": "http://127.0.0.1:1", **wrong})
