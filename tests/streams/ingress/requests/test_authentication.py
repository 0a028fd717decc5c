from __future__ import annotations

import re

import pytest

from streams.config.api_keys import check_binding, hash_key, new_key
from streams.config.settings import ANONYMOUS_TENANT, ConfigurationError, Settings
from streams.ingress.errors import ApiError
from streams.ingress.requests.authentication import ApiKeyAuthenticator, Principal

PLAIN = "sk-sluice-" + "k" * 43  # fixed, because it is part of test ids, which parallel workers must agree on
HASH = hash_key(PLAIN)
LOCKED = Settings.model_validate({"tenants": {"acme": {}}, "keys": [{"id": "acme-1", "tenant": "acme", "hash": HASH}]})


def test_new_key_is_random_and_comes_with_its_hash() -> None:
    plain, hashed = new_key()

    assert re.fullmatch(r"sk-sluice-[A-Za-z0-9_-]{43}", plain)
    assert hashed == hash_key(plain) != HASH


@pytest.mark.parametrize(
    ("authorization", "api_key"),
    [
        (f"Bearer {PLAIN}".encode(), b""),
        (f"bearer  {PLAIN} ".encode(), b""),
        (b"", PLAIN.encode()),
        (b"Basic abc", PLAIN.encode()),
    ],
)
def test_key_is_accepted_as_bearer_token_and_as_x_api_key(authorization: bytes, api_key: bytes) -> None:
    assert ApiKeyAuthenticator(LOCKED.keys).lookup(authorization, api_key) == Principal("acme", "acme-1")


@pytest.mark.parametrize(
    "authorization", [b"", b"Bearer", b"Bearer ", b"Bearer sk-sluice-x", PLAIN.encode(), b"\xff\xfe"]
)
def test_lookup_without_a_valid_key_returns_none(authorization: bytes) -> None:
    assert ApiKeyAuthenticator(LOCKED.keys).lookup(authorization) is None


def test_hash_of_a_key_is_not_accepted_as_key() -> None:
    assert ApiKeyAuthenticator(LOCKED.keys).lookup(f"Bearer {HASH}".encode()) is None


def test_error_does_not_repeat_the_key() -> None:
    with pytest.raises(ApiError) as caught:
        ApiKeyAuthenticator(LOCKED.keys).authenticate({b"authorization": b"Bearer sk-my-secret"})

    assert "secret" not in str(caught.value)
    assert caught.value.failure.code == "invalid_api_key"


def test_without_keys_every_caller_is_the_default_tenant() -> None:
    assert ApiKeyAuthenticator(()).lookup(b"Bearer whatever") == Principal(ANONYMOUS_TENANT)


def test_open_gateway_binds_only_loopback_addresses() -> None:
    with pytest.raises(ConfigurationError, match=r"other machines can reach 0\.0\.0\.0.*sluice keys new"):
        check_binding(Settings.model_validate({"http": {"host": "0.0.0.0"}}))

    check_binding(Settings())
    check_binding(LOCKED.model_copy(update={"http": LOCKED.http.model_copy(update={"host": "0.0.0.0"})}))
