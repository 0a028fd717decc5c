"""Contract of every provider, tested on its recordings; ``recording.py`` describes their format."""

from __future__ import annotations

import contextlib
import random
from collections.abc import AsyncIterator
from typing import Any

import orjson
import pytest
from hypothesis import given, settings

from connectors.http_client import Response
from connectors.providers import make_provider, parse_settings
from connectors.providers.provider import ProviderAnswer, ProviderCall, ProviderError
from connectors.providers.wire.http_provider import HttpProvider, ProviderRequest
from schemas.events.vocabulary import Operation
from schemas.json_types import JsonObject
from schemas.openai import bodies as openai
from tests.connectors.providers.recording import (
    FOLDER,
    IDS,
    KEY,
    RECORDED,
    REQUIRED,
    SPOKEN,
    Failed,
    Recording,
    differences,
    kind_file,
    offline_provider,
    recordings,
    settings_for,
)
from tests.connectors.providers.requests import chat_bodies, embeddings_bodies
from tests.connectors.wire_double import Wire, wire

ANSWERED = [(kind, case) for kind, case in RECORDED if recordings(kind)[case].answer is not None]
WHOLE_ANSWERS = [(kind, case) for kind, case in ANSWERED if not recordings(kind)[case].stream]
ADDED = {"max_tokens", "encoding_format"}
"""Members that a request may omit: a setting has them, or the gateway asks for base64 vectors."""
FINISH_REASONS = {"stop", "length", "tool_calls", "content_filter", "error"}
"""OpenAI's, and one for a provider's own failure that came with a part of an answer."""


class Replays:
    """A server that answers as recorded, and its providers, each created once."""

    def __init__(self, double: Wire) -> None:
        self.double = double
        self.providers: dict[str, HttpProvider] = {}

    def of(self, kind: str, recording: Recording) -> HttpProvider:
        """A provider of this kind, with this recording's answer at the other end."""
        settings = settings_for(kind, recording, self.double.url.removesuffix("/v1"))
        if repr(settings) not in self.providers:
            provider = make_provider("contract", parse_settings(settings))
            assert isinstance(provider, HttpProvider)
            self.providers[repr(settings)] = provider
        self.double.requests.clear()
        self.double.targets.clear()
        if recording.response is not None:
            received = recording.response
            self.double.answer(received.status, received.content, received.headers_now)
        return self.providers[repr(settings)]


@pytest.fixture(scope="module")
async def replays() -> AsyncIterator[Replays]:
    async with wire() as double:
        made_once = Replays(double)
        yield made_once
        for provider in made_once.providers.values():
            await provider.close()


async def exchange(
    provider: HttpProvider, recording: Recording
) -> tuple[list[JsonObject], ProviderAnswer | ProviderError]:
    """The chunks, if there are any, and how it ended."""
    chunks: list[JsonObject] = []
    try:
        if not recording.stream:
            return chunks, await provider.complete(recording.call)
        async for item in provider.stream(recording.call):
            if isinstance(item, ProviderAnswer):
                return chunks, item
            chunks.append(item)
    except ProviderError as error:
        return chunks, error
    raise AssertionError("a stream that does not fail ends with the whole answer")


def check_sent(recording: Recording, double: Wire) -> None:
    if recording.sent is None:
        assert double.requests == [], "what is refused is never sent"
        return
    expected = {name: value.replace("{key}", KEY) for name, value in recording.sent.headers.items()}
    assert double.targets == [recording.sent.path]
    assert double.last_body == recording.sent.body
    assert expected.items() <= double.requests[0][1].items()


def check_answer(recording: Recording, answer: ProviderAnswer) -> None:
    assert differences(answer.body, recording.answer) == []
    assert answer.usage == recording.usage
    assert recording.finish_reasons is None or answer.finish_reasons == recording.finish_reasons
    said = [(change.param, change.action) for change in answer.changes]
    assert said == [(change.param, change.action) for change in recording.changes]


def check_error(recording: Recording, expected: Failed, error: ProviderError) -> None:
    assert error.error_type == expected.error_type, error.message
    assert recording.response is not None
    assert error.http_status == (expected.http_status or recording.response.status)
    assert error.retry_after_s == (expected.retry_after_s and pytest.approx(expected.retry_after_s, abs=1.5))
    assert error.param == expected.param
    assert (expected.message or "") in error.message
    assert KEY not in f"{error} {error!r} {error.args}"


@pytest.mark.parametrize(("kind", "case"), RECORDED, ids=IDS)
async def test_recorded_exchange_is_translated_both_ways(replays: Replays, kind: str, case: str) -> None:
    recording = recordings(kind)[case]

    chunks, end = await exchange(replays.of(kind, recording), recording)

    check_sent(recording, replays.double)
    assert recording.error or recording.chunks is None or differences(chunks, recording.chunks) == []
    if recording.answer is not None:
        assert isinstance(end, ProviderAnswer), end
        check_answer(recording, end)
    elif recording.error is not None:
        assert isinstance(end, ProviderError), end
        check_error(recording, recording.error, end)
    else:
        assert recording.refused is not None
        assert isinstance(end, ProviderError), end
        assert (end.error_type, end.param, end.http_status) == ("invalid_request", recording.refused.param, None)


@pytest.mark.parametrize(("kind", "case"), RECORDED, ids=IDS)
def test_recorded_request_is_valid_for_openai(kind: str, case: str) -> None:
    recording = recordings(kind)[case]

    assert openai.validation_failure(recording.operation, recording.request) is None


@pytest.mark.parametrize(("kind", "case"), ANSWERED, ids=map("-".join, ANSWERED))
async def test_answer_has_openais_format(replays: Replays, kind: str, case: str) -> None:
    recording = recordings(kind)[case]

    _, end = await exchange(replays.of(kind, recording), recording)

    assert isinstance(end, ProviderAnswer)
    if recording.operation == "embeddings":
        assert end.body["object"] == "list"
        assert [row["index"] for row in end.body["data"]] == list(range(len(end.body["data"])))
    else:
        assert end.body["object"] == "chat.completion"
        assert {choice["finish_reason"] for choice in end.body["choices"]} <= FINISH_REASONS
        assert {choice["message"]["role"] for choice in end.body["choices"]} == {"assistant"}
        usage = end.body["usage"]
        assert usage["total_tokens"] == usage["prompt_tokens"] + usage["completion_tokens"]


@pytest.mark.parametrize("kind", SPOKEN)
def test_kind_has_every_case_or_a_reason_for_its_absence(kind: str) -> None:
    recorded, absent = recordings(kind).keys(), kind_file(kind).absent

    assert set(REQUIRED) - recorded == absent.keys()
    assert all(len(why) > 10 for why in absent.values())


def test_every_recording_belongs_to_a_kind() -> None:
    assert {path.name for path in FOLDER.iterdir()} <= set(SPOKEN)


def mangled(document: Any, chance: random.Random) -> Any:
    """The same document, with one of its values another."""
    other = chance.choice([None, 5, -0.5, "x", [], {}, [None], ["x"], {"x": 1}, True])
    if not isinstance(document, dict | list) or not document or chance.random() < 0.2:
        return other
    if isinstance(document, list):
        at = chance.randrange(len(document))
        return [mangled(item, chance) if index == at else item for index, item in enumerate(document)]
    name = chance.choice(sorted(document))
    return {**document, name: mangled(document[name], chance)}


@pytest.mark.parametrize(("kind", "case"), WHOLE_ANSWERS, ids=map("-".join, WHOLE_ANSWERS))
def test_malformed_answer_raises_only_provider_error(kind: str, case: str) -> None:
    recording, chance = recordings(kind)[case], random.Random(13)
    assert recording.response is not None

    for _ in range(200):
        body = mangled(recording.response.body, chance)
        with contextlib.suppress(ProviderError):
            offline_provider(kind).from_response(recording.call, body, Response(200, {}, orjson.dumps(body)))


# --- any request at all


def translate(kind: str, operation: Operation, body: JsonObject) -> ProviderRequest | ProviderError:
    try:
        return offline_provider(kind).to_request(ProviderCall("r1", operation, "some-model", body, timeout_s=5.0))
    except ProviderError as error:
        return error


def keep_the_promise(outcome: ProviderRequest | ProviderError, body: JsonObject) -> None:
    """Check that a request is JSON and its changes are recorded, or that the unsupported parameter is named."""
    if isinstance(outcome, ProviderRequest):
        assert orjson.dumps(outcome.body)
        assert {top(change.param) for change in outcome.changes} <= body.keys() | ADDED
    else:
        assert outcome.error_type == "invalid_request"
        assert top(outcome.param or "") in body, "a refusal names what the caller wrote"


def top(param: str) -> str:
    """The parameter of which this is a part, as in messages[0].content."""
    return param.partition("[")[0].partition(".")[0]


@pytest.mark.parametrize("kind", SPOKEN)
@given(body=chat_bodies())
@settings(max_examples=60, deadline=None)
def test_any_chat_is_translated_or_its_parameter_refused(kind: str, body: JsonObject) -> None:
    keep_the_promise(translate(kind, "chat", body), body)


@pytest.mark.parametrize("kind", SPOKEN)
@given(body=embeddings_bodies())
@settings(max_examples=30, deadline=None)
def test_any_embeddings_are_translated_or_their_parameter_refused(kind: str, body: JsonObject) -> None:
    keep_the_promise(translate(kind, "embeddings", body), body)
