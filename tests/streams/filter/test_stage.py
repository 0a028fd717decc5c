from __future__ import annotations

import dataclasses
import json
from typing import Any

import orjson
import pytest
from hypothesis import given
from hypothesis import strategies as st

from schemas.avro.codec import encode
from schemas.events.catalog import RequestAdmitted, RequestReceived, RequestSettled
from schemas.events.parts import PolicyAction
from schemas.kafka.headers import Headers, last_value
from schemas.kafka.records import ConsumerRecord, ProducerRecord
from streams.composition import filter_config
from streams.config.settings import Settings
from streams.filter.stage import FilterStage
from streams.pipeline.event_signatures import EventSignatures
from tests.factories import chat, make_request, read

SECRET = b"a" * 32
NOW = 1_800_000_000_000
CARD = "4111 1111 1111 1111"
EMAIL = "ada@example.org"
SPRING: Headers = (("kafka_replyTopic", b"llm.replies.shop"), ("kafka_correlationId", b"\xff" * 16))
STRICT: dict[str, Any] = {
    "policies": {
        "default": {
            "deny": [{"name": "no-weapons", "keywords": ["bomb"]}],
            "pii": {"CREDIT_CARD": "block", "EMAIL_ADDRESS": "mask"},
        }
    }
}


def made(**configuration: Any) -> FilterStage:
    return FilterStage(filter_config(Settings.model_validate(configuration), (SECRET,)), clock=lambda: NOW)


def record(value: bytes | str | None, headers: Headers = SPRING, topic: str = "llm.requests.v1") -> ConsumerRecord:
    value = value.encode() if isinstance(value, str) else value
    return ConsumerRecord(topic, 1, 7, NOW - 500, b"key", value, headers)


def only(outputs: Any) -> tuple[ProducerRecord, Any]:
    (output,) = outputs
    return output, read(output)[0]


def admitted(from_record: ConsumerRecord, **configuration: Any) -> RequestAdmitted:
    _, event = only(made(**configuration).process(from_record))
    assert isinstance(event, RequestAdmitted)
    return event


def ended(from_record: ConsumerRecord, **configuration: Any) -> RequestSettled:
    output, event = only(made(**configuration).process(from_record))
    assert isinstance(event, RequestSettled)
    assert output.topic == "llm.outcomes.v1"
    return event


def code(event: RequestSettled) -> str:
    assert event.failure is not None
    return event.failure.code


def test_request_is_admitted_under_its_id() -> None:
    output, event = only(made().process(record(chat(metadata={"team": "shop"}))))

    assert (output.topic, output.key, output.partition) == (
        "llm.admitted.v1",
        event.request.request_id.encode(),
        1,
    )
    assert last_value(output.headers, "ce_type") == b"sluice.llm.RequestAdmitted.v1"
    assert (event.model, event.labels, event.actions) == ("demo", {"team": "shop"}, ())
    assert (event.admitted_at, event.config_hash) == (NOW, Settings().hash)


def test_body_without_a_policy_is_unchanged() -> None:
    body = '{ "messages" : [{"role":"user","content":"caf\\u00e9"}],\n"model":"demo", "temperature":1.0, "min_p": 0.1 }'

    assert admitted(record(body)).body == body


def test_masked_text_is_not_in_the_admitted_event() -> None:
    event = admitted(record(chat(text=f"write to {EMAIL}", metadata={"for": EMAIL})), **STRICT)

    assert orjson.loads(event.body)["messages"][0]["content"] == "write to <EMAIL_ADDRESS>"
    assert event.labels == {"for": "<EMAIL_ADDRESS>"}
    assert event.actions == (PolicyAction(rule="pii.EMAIL_ADDRESS", action="mask", count=2),)
    assert EMAIL.encode() not in encode(event)


def test_duplicate_key_does_not_bypass_the_policy() -> None:
    body = chat(user="u").replace('{"model"', f'{{"user":"{EMAIL}","model"', 1)

    assert EMAIL not in admitted(record(body), **STRICT).body


@pytest.mark.parametrize(("text", "rule"), [("a bomb", "deny.no-weapons"), (f"card {CARD}", "pii.CREDIT_CARD")])
def test_blocked_request_is_settled_with_the_rule_and_without_the_text(text: str, rule: str) -> None:
    event = ended(record(chat(text=text)), **STRICT)

    assert event.failure is not None
    assert (event.outcome, event.failure.status, event.failure.code) == ("refused", 400, "policy_violation")
    assert rule in event.failure.message
    assert event.actions == (PolicyAction(rule=rule, action="block", count=1),)
    assert (event.model, event.input) == ("demo", "")
    assert CARD.encode() not in encode(event)
    assert b"bomb" not in encode(event)


def test_blocked_model_name_is_redacted() -> None:
    event = ended(record(chat(model=CARD)), **STRICT)

    assert event.model == "<CREDIT_CARD>"


@pytest.mark.parametrize("body", [chat(), "{"])
def test_idempotency_key_is_redacted(body: str) -> None:
    headers = (*SPRING, ("Idempotency-Key", f"order-for-{EMAIL}".encode()))

    _, event = only(made(**STRICT).process(record(body, headers)))

    assert event.request.idempotency_key == "<EMAIL_ADDRESS>"
    assert EMAIL.encode() not in encode(event)


def test_token_ids_are_refused_under_a_strict_policy() -> None:
    body = '{"model":"demo","input":[1,2,3]}'

    assert admitted(record(body)).body == body
    assert code(ended(record(body), **STRICT)) == "input_not_screenable"


@pytest.mark.parametrize(
    ("body", "expected"),
    [
        ("hello", "invalid_json"),
        ("", "invalid_json"),
        ("[]", "invalid_json"),
        ('{"model":"demo"}', "missing_required_parameter"),
        (chat(temperature=9), "invalid_value"),
    ],
)
def test_invalid_body_is_refused_with_a_reply(body: str, expected: str) -> None:
    event = ended(record(body))

    assert event.failure is not None
    assert (event.outcome, event.failure.status, event.failure.code) == ("refused", 400, expected)
    assert event.request.reply_to is not None


def test_request_past_its_deadline_expires() -> None:
    event = ended(record(chat(), (*SPRING, ("deadline-ms", b"500"))))

    assert (event.outcome, code(event)) == ("expired", "deadline_exceeded")


def test_removed_key_is_refused() -> None:
    configured = {
        "tenants": {"acme": {"reply_topics": ["llm.replies.tests", "llm.replies.shop"]}},
        "keys": [{"id": "new", "tenant": "acme", "hash": "sha256:" + "0" * 64}],
    }
    value = encode(
        RequestReceived(request=make_request(tenant="acme", key_id="old", deadline_at=NOW + 1), body=chat().encode())
    )

    signature = EventSignatures((SECRET,)).header("llm.requests.v1", record(value).key or b"", value)
    signed = dataclasses.replace(record(value), headers=(signature,))

    assert code(ended(signed, **configured)) == "invalid_api_key"
    refused, dead_letter = made(**configured).process(record(value))
    assert code(*read(refused)) == "unsigned_event"
    assert dead_letter.topic == "llm.requests.v1-dlt"


def test_model_or_operation_not_allowed_for_the_tenant_is_refused() -> None:
    allowed = {"models": ["small"], "operations": ["chat"], "reply_topics": ["llm.replies.shop"]}
    acme = {"tenants": {"acme": allowed}}
    topic = "llm.requests.acme.v1"

    assert admitted(record(chat(model="small"), topic=topic), **acme).request.tenant == "acme"
    assert code(ended(record(chat(), topic=topic), **acme)) == "model_not_allowed"
    assert code(ended(record('{"model":"small","input":"a"}', topic=topic), **acme)) == "operation_not_allowed"


def test_each_tenant_has_its_own_policy() -> None:
    configured = {
        **STRICT,
        "policies": {**STRICT["policies"], "none": {}},
        "tenants": {"acme": {"policy": "none", "reply_topics": ["llm.replies.shop"]}},
    }

    assert CARD in admitted(record(chat(text=CARD), topic="llm.requests.acme.v1"), **configured).body
    assert code(ended(record(chat(text=CARD), ()), **configured)) == "policy_violation"


@pytest.mark.parametrize("value", [None, b"\xff", b"\x00\x00\x00\x00\x07"])
def test_unreadable_record_is_settled_with_a_reply_and_dead_lettered(value: bytes | None) -> None:
    outcome, letter = made().process(record(value))

    (event,) = read(outcome)
    assert (event.outcome, code(event)) == ("refused", "unreadable")
    assert event.request.reply_to.topic == "llm.replies.shop"
    assert (letter.topic, letter.partition, letter.key, letter.value) == ("llm.requests.v1-dlt", 1, b"key", value)
    assert letter.headers[: len(SPRING)] == SPRING
    assert last_value(letter.headers, "kafka_dlt-original-consumer-group") == b"llm.filter"


def test_reply_topic_of_the_pipeline_is_refused_without_a_reply() -> None:
    event = ended(record(chat(), (("reply_to", b"llm.admitted.v1"),)))

    assert code(event) == "reply_topic_not_allowed"
    assert event.request.reply_to is None


@given(
    st.one_of(
        st.none(),
        st.binary(),
        st.binary().map(lambda rest: b"\x00\x00\x00\x00\x65" + rest),
        st.recursive(
            st.none() | st.booleans() | st.integers() | st.text(),
            lambda inner: st.lists(inner) | st.dictionaries(st.sampled_from(["messages", "model", "role"]), inner),
        ).map(lambda document: json.dumps(document).encode()),
    ),
    st.lists(
        st.tuples(st.sampled_from(["reply_to", "correlation_id", "ce_id", "deadline-ms"]), st.none() | st.binary())
    ),
)
def test_every_record_has_exactly_one_next_event(value: bytes | None, headers: list[tuple[str, bytes | None]]) -> None:
    outputs = made(**STRICT).process(record(value, tuple(headers)))

    events = read(*(output for output in outputs if not output.topic.endswith("-dlt")))
    assert len(events) == 1
    assert isinstance(events[0], RequestAdmitted | RequestSettled)


@pytest.mark.parametrize(
    ("body", "headers", "topic"),
    [
        (chat("nightly"), (), "llm.requests.v1"),
        (chat(service_tier="flex"), (), "llm.requests.v1"),
        (chat(), (("sluice-lane", b"batch"),), "llm.requests.v1"),
        (chat(), (), "llm.requests.batch.v1"),
        (chat(), (), "llm.requests.jobs.v1"),
    ],
)
def test_model_caller_topic_or_tenant_can_choose_the_batch_lane(body: str, headers: Headers, topic: str) -> None:
    configured = {
        "models": {"nightly": {"targets": ["sim/echo"], "lane": "batch"}, "demo": {"targets": ["sim/echo"]}},
        "tenants": {"jobs": {"lane": "batch"}},
        "providers": {"sim": {"kind": "simulated"}},
    }

    output, event = only(made(**configured).process(record(body, headers, topic)))

    assert (output.topic, event.request.lane) == ("llm.admitted.batch.v1", "batch")


@pytest.mark.parametrize("character", ["\n", "\r", "\x00", "\x1b", "\x7f", "\x85", "\u2028", "\u2029"])
@pytest.mark.parametrize("name", ["sim/a{}b", "sim/echo{}", "{}demo"])
def test_control_character_in_the_model_is_refused(character: str, name: str) -> None:
    out = ended(record(chat(name.format(character))))

    assert out.failure is not None
    assert (out.outcome, out.failure.status, out.failure.param) == ("refused", 400, "model")
    assert "control characters" in out.failure.message


def test_idempotency_key_of_an_event_has_the_limit_of_the_header() -> None:
    request = make_request(source="kafka", idempotency_key="k" * 256)

    out = ended(record(encode(RequestReceived(request=request, body=chat().encode()))))

    assert out.failure is not None
    assert (out.failure.code, out.request.idempotency_key) == ("invalid_header", "")


def test_dead_letter_topic_is_no_reply_topic() -> None:
    out = ended(record(chat(), headers=(("reply-topic", b"llm.replies.shop-dlt"),)))

    assert out.failure is not None
    assert out.failure.code == "reply_topic_not_allowed"
