from __future__ import annotations

from typing import Any

import pytest
from pydantic import ValidationError

from connectors.kafka.security.settings import Security

LOGIN = {"username": "u", "password": "canary"}
OAUTH = {"token_endpoint_url": "https://id.example/token", "client_id": "c", "client_secret": "canary"}
SCRAM = {"security_protocol": "SASL_SSL", "sasl_mechanism": "SCRAM-SHA-512"}
BEARER = {"security_protocol": "SASL_SSL", "sasl_mechanism": "OAUTHBEARER"}


@pytest.mark.parametrize(
    "said",
    [
        {},
        {"security_protocol": "SSL"},
        {"security_protocol": "SSL", "ssl_certfile": "both.pem", "ssl_password": "p", "ssl_check_hostname": False},
        {"security_protocol": "SASL_PLAINTEXT", "sasl_mechanism": "PLAIN", **LOGIN},
        {**SCRAM, **LOGIN, "ssl_cafile": "ca.pem", "ssl_certfile": "own.pem", "ssl_keyfile": "own.key"},
        {**BEARER, "oauth": OAUTH},
    ],
    ids=str,
)
def test_consistent_settings_are_accepted(said: dict[str, Any]) -> None:
    assert Security.model_validate(said)


@pytest.mark.parametrize(
    ("said", "sentence"),
    [
        (LOGIN, "are for security_protocol SASL_SSL or SASL_PLAINTEXT, and it is PLAINTEXT"),
        ({"security_protocol": "SSL", "oauth": OAUTH}, "are for security_protocol SASL_SSL or SASL_PLAINTEXT"),
        ({"security_protocol": "SASL_SSL", **LOGIN}, "SASL_SSL needs a sasl_mechanism: PLAIN, SCRAM-SHA-256"),
        (SCRAM, "SCRAM-SHA-512 needs a username and a password"),
        ({**SCRAM, "username": "u"}, "SCRAM-SHA-512 needs a username and a password"),
        ({**SCRAM, **LOGIN, "oauth": OAUTH}, "oauth is for sasl_mechanism OAUTHBEARER, and it is SCRAM-SHA-512"),
        (BEARER, "OAUTHBEARER needs oauth, with a token_endpoint_url"),
        ({**BEARER, **LOGIN, "oauth": OAUTH}, "OAUTHBEARER logs in with a token: leave out username and password"),
        ({"ssl_cafile": "ca.pem"}, "ssl_ settings are for security_protocol SSL or SASL_SSL"),
        ({"ssl_check_hostname": False}, "ssl_ settings are for security_protocol SSL or SASL_SSL"),
        ({"security_protocol": "SSL", "ssl_keyfile": "k"}, "ssl_keyfile needs the ssl_certfile that it belongs to"),
        ({"security_protocol": "SSL", "ssl_password": "canary"}, "ssl_password needs ssl_keyfile"),
        ({"security_protocol": "TLS"}, "Input should be 'PLAINTEXT', 'SSL', 'SASL_PLAINTEXT' or 'SASL_SSL'"),
        ({**BEARER, "oauth": {**OAUTH, "token_endpoint_url": "https://u:canary@id.example"}}, "should match pattern"),
        ({**BEARER, "oauth": {**OAUTH, "client_secret": ""}}, "should have at least 1 item"),
    ],
    ids=str,
)
def test_contradictory_settings_are_one_error_without_a_secret(said: dict[str, Any], sentence: str) -> None:
    with pytest.raises(ValidationError) as raised:
        Security.model_validate(said)

    (fault,) = raised.value.errors(include_input=False, include_url=False, include_context=False)
    assert sentence in fault["msg"]
    assert "canary" not in str(fault)


def test_secrets_are_in_no_repr_and_no_dump() -> None:
    settings = Security.model_validate({**SCRAM, **LOGIN, "ssl_certfile": "c", "ssl_password": "canary"})
    bearer = Security.model_validate({**BEARER, "oauth": OAUTH})

    for each in (settings, bearer):
        assert "canary" not in repr(each)
        assert "canary" not in each.model_dump_json()
