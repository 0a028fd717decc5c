from __future__ import annotations

import time
from collections.abc import Callable, Iterable

import pytest
from hypothesis import given
from hypothesis import strategies as st
from stdnum import iban, luhn

from streams.policy.pii_detectors import (
    Span,
    api_keys,
    credit_cards,
    detector,
    email_addresses,
    ibans,
    ip_addresses,
    phone_numbers,
)

Find = Callable[[str], Iterable[Span]]


def american(text: str) -> Iterable[Span]:
    return phone_numbers(text, "US")


def found(find: Find, text: str) -> list[str]:
    return [text[start:end] for start, end in find(text)]


@pytest.mark.parametrize(
    ("find", "text", "expected"),
    [
        (email_addresses, "to ada@example.org, please", ["ada@example.org"]),
        (email_addresses, "<a.b+c@mail.ex-ample.co.uk>.", ["a.b+c@mail.ex-ample.co.uk"]),
        (
            email_addresses,
            "jörg@bücher.de ops@xn--bcher-kva.xn--p1ai",
            ["jörg@bücher.de", "ops@xn--bcher-kva.xn--p1ai"],
        ),
        (american, "call 650-253-0000 or +49 30 901820", ["650-253-0000", "+49 30 901820"]),
        (american, "(650) 253 0000", ["(650) 253 0000"]),
        (credit_cards, "my card 4111111111111111.", ["4111111111111111"]),
        (credit_cards, "4111-1111-1111-1111 12/27", ["4111-1111-1111-1111"]),
        (credit_cards, "12 3782 822463 10005 7", ["3782 822463 10005"]),
        (credit_cards, "4 1 1 1 1 1 1 1 1 1 1 1 1 1 1 1", ["4 1 1 1 1 1 1 1 1 1 1 1 1 1 1 1"]),
        (
            credit_cards,
            "4111 1111 1111 1111 5555 5555 5555 4444",
            ["4111 1111 1111 1111", "5555 5555 5555 4444"],
        ),
        (credit_cards, "4111\u00a01111\u20111111\u202f1111", ["4111\u00a01111\u20111111\u202f1111"]),
        (credit_cards, "\uff14111111111111111", ["\uff14111111111111111"]),
        (ibans, "IBAN:DE89 3704 0044 0532 0130 00 and so on", ["DE89 3704 0044 0532 0130 00"]),
        (ibans, "gb82west12345698765432", ["gb82west12345698765432"]),
        (ibans, "NO93-8601-1117-947", ["NO93-8601-1117-947"]),
        (ip_addresses, "from 192.168.0.1.", ["192.168.0.1"]),
        (ip_addresses, "[2001:db8::1]:443 and fe80::1%eth0", ["2001:db8::1", "fe80::1"]),
        (api_keys, "key=sk-ant-api03-abcdefghijklmnopqrstuvwx", ["sk-ant-api03-abcdefghijklmnopqrstuvwx"]),
        (api_keys, "AKIAIOSFODNN7EXAMPLE", ["AKIAIOSFODNN7EXAMPLE"]),
        (api_keys, "ghp_" + "a1" * 18, ["ghp_" + "a1" * 18]),
        (api_keys, "hf_" + "b" * 34, ["hf_" + "b" * 34]),
        (api_keys, "xoxb-1234567890-abc", ["xoxb-1234567890-abc"]),
        (api_keys, "AIza" + "c" * 35, ["AIza" + "c" * 35]),
        (api_keys, "glpat-" + "d" * 20, ["glpat-" + "d" * 20]),
        (api_keys, "eyJhbGciOiJIUzI1NiJ9.eyJzdWIiOiIx.abc-_1", ["eyJhbGciOiJIUzI1NiJ9.eyJzdWIiOiIx.abc-_1"]),
        (
            api_keys,
            "a -----BEGIN RSA PRIVATE KEY-----\nMII\n-----END RSA PRIVATE KEY----- b",
            ["-----BEGIN RSA PRIVATE KEY-----\nMII\n-----END RSA PRIVATE KEY-----"],
        ),
        (api_keys, "-----BEGIN PRIVATE KEY-----\ncut off", ["-----BEGIN PRIVATE KEY-----\ncut off"]),
    ],
)
def test_detectors_find_entities(find: Find, text: str, expected: list[str]) -> None:
    assert found(find, text) == expected


@pytest.mark.parametrize(
    ("find", "text"),
    [
        (email_addresses, "a@b, @name, user@localhost, x@y.c"),
        (american, "from 1999 to 2004, 12 items, version 1.2.3"),
        (american, "call 123-456"),
        (credit_cards, "4111111111111112"),
        (credit_cards, "0.4111111111111111"),
        (credit_cards, "1411111111111111"),
        (credit_cards, "41111111111111111111"),
        (credit_cards, "4111/1111/1111/1111"),
        (ibans, "DE88370400440532013000"),
        (ibans, "XX89370400440532013000"),
        (ip_addresses, "1.2.3.4.5, 300.1.1.1, at 12:30:45"),
        (ip_addresses, "std::vector, :: and a::b, mac 00:1b:44:11:3a:b7"),
        (api_keys, "sk-short, task-force-for-something-very-long, -----BEGIN PUBLIC KEY-----"),
    ],
)
def test_detectors_ignore_similar_texts(find: Find, text: str) -> None:
    assert found(find, text) == []


@pytest.mark.parametrize("find", [email_addresses, american, credit_cards, ibans, ip_addresses, api_keys])
@pytest.mark.parametrize(
    "piece", ["a@", "a.", "1234567890 ", "DE89 ", "1", "4111 ", ":1", "eyJ", "-----BEGIN PRIVATE KEY-----", "(", "1-"]
)
def test_detectors_take_linear_time(find: Find, piece: str) -> None:
    text = piece * (30_000 // len(piece))

    started = time.process_time()
    list(find(text))

    assert time.process_time() - started < 3, "a detector that is not linear needs minutes for this"


def test_every_entity_has_a_detector() -> None:
    assert found(detector("PHONE_NUMBER", "DE"), "ruf 030 901820 an") == ["030 901820"]
    assert found(detector("IP_ADDRESS", "DE"), "127.0.0.1") == ["127.0.0.1"]


CARDS = st.builds(
    lambda prefix, rest: prefix + rest + luhn.calc_check_digit(prefix + rest),
    st.sampled_from(["4", "51", "2221", "6011", "35", "62"]),
    st.text("0123456789", min_size=14, max_size=14),
).map(lambda card: card[:15] + luhn.calc_check_digit(card[:15]))


@st.composite
def spaced(draw: st.DrawFn, values: st.SearchStrategy[str], sizes: tuple[int, ...]) -> str:
    """The value in groups of its usual sizes, with a separator between them."""
    value, gap = draw(values), draw(st.sampled_from(["", " ", "-", "\u00a0", "\u2013"]))
    groups, start = [], 0
    for size in sizes:
        groups.append(value[start : start + size])
        start += size
    return gap.join(group for group in [*groups, value[start:]] if group)


IBANS = st.one_of(
    st.text("0123456789", min_size=18, max_size=18).map(
        lambda bban: f"DE{iban.calc_check_digits('DE00' + bban)}{bban}"
    ),
    st.builds(
        lambda bank, rest: f"GB{iban.calc_check_digits('GB00' + bank + rest)}{bank}{rest}",
        st.text("ABCDEFGHIJKLMNOPQRSTUVWXYZ", min_size=4, max_size=4),
        st.text("0123456789", min_size=14, max_size=14),
    ),
)


@given(st.text(), spaced(CARDS, (4, 4, 4)), st.text())
def test_card_is_found_in_any_text(before: str, card: str, after: str) -> None:
    text = f"{before} {card} {after}"

    assert any(text.index(card) >= start and end >= text.index(card) + len(card) for start, end in credit_cards(text))


@given(CARDS, st.data())
def test_card_is_found_with_any_grouping(card: str, data: st.DataObject) -> None:
    gaps = data.draw(st.lists(st.sampled_from(["", " ", "-"]), min_size=15, max_size=15))
    split = card[0] + "".join(gap + digit for gap, digit in zip(gaps, card[1:], strict=True))

    assert found(credit_cards, f"card: {split}.") == [split]


@given(CARDS)
def test_number_with_invalid_luhn_checksum_is_no_card(card: str) -> None:
    wrong = card[:-1] + str((int(card[-1]) + 1) % 10)

    assert found(credit_cards, wrong) == []


@given(st.text(), spaced(IBANS, (4, 4, 4, 4, 4)), st.text())
def test_iban_is_found_in_any_text(before: str, number: str, after: str) -> None:
    assert number in found(ibans, f"{before} {number} {after}")


@given(st.emails(), st.text("abc 19.", max_size=5))
def test_ip_address_is_found_in_any_text(email: str, around: str) -> None:
    text = f"{around} {email} {around}"
    labels = email.rpartition("@")[2].split(".")

    # names on the net that no mail goes to: a top-level domain of digits
    if labels[-1].isalpha() or labels[-1].startswith("xn--"):
        assert any(email in address for address in found(email_addresses, text))
