from __future__ import annotations

import pytest

from connectors.providers.wire.secret_scrubbing import SecretScrubber

KEY = "sk-proj-A1b2/C3+d4=E5"
SCRUBBER = SecretScrubber([f"Bearer {KEY}", "abc"])


@pytest.mark.parametrize(
    ("said", "kept"),
    [
        (f"Incorrect API key provided: {KEY}.", "Incorrect API key provided: ***."),
        (f"Authorization: Bearer {KEY}", "Authorization: ***"),
        ("no such url /v1?key=sk-proj-A1b2/C3%2Bd4%3DE5", "no such url /v1?key=***"),
        ("no such url /v1?key=sk-proj-A1b2%2FC3%2Bd4%3DE5", "no such url /v1?key=***"),
        ("Incorrect API key provided: sk-proj-********d4E5. See", "Incorrect API key provided: ***. See"),
        ("Invalid key sk-pr…d4E5", "Invalid key ***"),
        ("Invalid key sk-pr.....d4E5", "Invalid key ***"),
        ("a Bearer token with abc in it is **needed**...", "a Bearer token with abc in it is **needed**..."),
    ],
)
def test_error_message_contains_no_key_whole_or_masked(said: str, kept: str) -> None:
    assert SCRUBBER.scrub_message(said) == kept


def test_body_is_scrubbed_and_stays_json() -> None:
    assert SCRUBBER.scrub(b'{"headers":{"authorization":"Bearer %s"}}' % KEY.encode()) == (
        b'{"headers":{"authorization":"***"}}'
    )


def test_body_without_a_secret_is_the_same_object() -> None:
    body = b'{"a":1}'

    assert SCRUBBER.scrub(body) is body
