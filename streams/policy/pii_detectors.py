"""Detectors of personal data and secrets: a cheap test first, then a checksum or a parser.

The time of every detector is linear in the length of the text. Entities have Presidio's names where it has one.
"""

from __future__ import annotations

import functools
import ipaddress
import re
import sys
import unicodedata
from collections.abc import Callable, Iterable, Iterator

from phonenumbers import Leniency, PhoneNumberMatcher
from stdnum import iban, luhn, numdb

from streams.config.settings import Entity

Span = tuple[int, int]
"""Start and end, in characters."""
Detector = Callable[[str], Iterable[Span]]

_GAP = "[ \\-\u00a0\u00ad\u2007\u2009-\u2015\u202f\u2060]"
"""Separators between the groups of a number: spaces, dashes, and invisible characters."""

_LOCAL = r"[\w.!#$%&'*+/=?^`{|}~-]"
_EMAIL = re.compile(rf"(?<!{_LOCAL}){_LOCAL}++@(?:[\w-]+\.)+(?:xn--[\w-]+|[^\W\d_]{{2,}})")


def email_addresses(text: str) -> Iterator[Span]:
    """Find e-mail addresses, including internationalized ones."""
    if "@" in text:
        yield from (match.span() for match in _EMAIL.finditer(text))


def _has_digit(text: str) -> bool:
    """Return whether a text may contain a number, at almost no cost."""
    return not text.isascii() or any(digit in text for digit in "0123456789")


# Each of these patterns starts with a digit and a lookbehind, so the engine skips quickly to the next digit.
_DIALLED = re.compile(r"\d(?:[^\w+]{0,4}\d){5}")


def phone_numbers(text: str, region: str) -> Iterator[Span]:
    """Find valid phone numbers: with a country code those of all countries, without one those of ``region``."""
    if _has_digit(text) and _DIALLED.search(text):
        for match in PhoneNumberMatcher(text, region, leniency=Leniency.VALID, max_tries=sys.maxsize):
            yield match.start, match.end


_DIGITS = re.compile(rf"\d(?<!\d\d)(?<!\d\.\d)(?:{_GAP}{{0,2}}\d){{11,}}")
_GROUP = re.compile(r"\d+")
_ISSUER = re.compile(
    r"4(?:\d{12}|\d{15}|\d{18})"  # Visa
    r"|(?:5[1-5]|2[2-7])\d{14}"  # Mastercard, Mir
    r"|3[47]\d{13}"  # American Express
    r"|3(?:0[0-5]|[689]\d)\d{11,16}"  # Diners Club
    r"|35\d{14,17}"  # JCB
    r"|6\d{15,18}"  # Discover, UnionPay, Maestro, RuPay
    r"|(?:5[0678]|8[12]|9792)\d{10,17}"  # Maestro, RuPay, Troy
)
_LONGEST_CARD = 19
_SMALLEST_GROUP = 3


def credit_cards(text: str) -> Iterator[Span]:
    """Find card numbers, with or without separators, by an issuer's prefix and length and by the Luhn checksum."""
    for run in _DIGITS.finditer(text) if _has_digit(text) else ():
        if _is_card(run[0]):
            yield run.span()
            continue
        groups = [group.span() for group in _GROUP.finditer(text, *run.span())]
        for first in range(len(groups)):
            yield from _cards_from(text, groups[first : first + _LONGEST_CARD // _SMALLEST_GROUP])


def _cards_from(text: str, groups: list[Span]) -> Iterator[Span]:
    """Find cards that start at the first group. Other numbers may follow, such as an expiry date or another card.

    Groups of one or two digits are ignored: in a table of small numbers many sequences have a valid checksum.
    """
    start = groups[0][0]
    for begin, end in groups:
        if end - begin < _SMALLEST_GROUP or end - start > 2 * _LONGEST_CARD:
            return
        if _is_card(text[start:end]):
            yield start, end


def _is_card(text: str) -> bool:
    digits = "".join(str(unicodedata.decimal(char)) for char in text if char.isdecimal())
    return _ISSUER.fullmatch(digits) is not None and bool(luhn.is_valid(digits))


_CHECK_DIGITS = re.compile(r"[0-9]{2}(?<=[A-Za-z]{2}..)")
_NOT_ALPHANUMERIC = re.compile(r"[^A-Z0-9]+")


def ibans(text: str) -> Iterator[Span]:
    """Find IBANs by the length and structure of their country, and by the checksum modulo 97."""
    for digits in _CHECK_DIGITS.finditer(text) if _has_digit(text) else ():
        start = digits.start() - 2
        length = _iban_length(text[start : start + 2].upper())
        match = _alphanumeric(length).match(text, start) if length else None
        if match and iban.is_valid(_NOT_ALPHANUMERIC.sub("", match[0].upper()), check_country=False):
            yield match.span()


@functools.cache
def _iban_length(country: str) -> int:
    """Return the length of a country's IBANs; 0 if it has none."""
    properties = numdb.get("iban").info(country)[0][1]
    if "bban" not in properties:
        return 0
    return 4 + sum(int(size) for size in re.findall(r"(\d+)!", properties["bban"]))


@functools.cache
def _alphanumeric(length: int) -> re.Pattern[str]:
    return re.compile(rf"[A-Za-z0-9](?:{_GAP}{{0,2}}[A-Za-z0-9]){{{length - 1}}}")


_IPV4 = re.compile(r"[0-9](?<![\d.].)[0-9]{0,2}(?:\.[0-9]{1,3}){3}(?!\.?\d)")
_IPV6 = re.compile(r"(?<![\w:.])[0-9A-Fa-f]{0,4}(?::[0-9A-Fa-f]{0,4}){2,7}(?:(?:\.\d{1,3}){3})?(?![\w:])")


def ip_addresses(text: str) -> Iterator[Span]:
    """Find IPv4 and IPv6 addresses."""
    if not _has_digit(text):
        return
    matches = [*_IPV4.finditer(text), *(_IPV6.finditer(text) if text.count(":") > 1 else ())]
    # Without a digit it is "::" or "a::b", which are common in source code.
    yield from (match.span() for match in matches if _has_digit(match[0]) and _is_ip(match[0]))


def _is_ip(text: str) -> bool:
    try:
        ipaddress.ip_address(text)
    except ValueError:
        return False
    return True


_SECRET = re.compile(
    r"\b(?:"
    r"sk-[\w-]{20,}"  # OpenAI, Anthropic, OpenRouter, Sluice
    r"|[rs]k_(?:live|test)_\w{16,}"  # Stripe
    r"|A[KS]IA[A-Z0-9]{16}"  # AWS
    r"|gh[opsru]_\w{36,}|github_pat_\w{22,}"
    r"|glpat-[\w-]{20,}"  # GitLab
    r"|hf_[A-Za-z0-9]{30,}"  # Hugging Face
    r"|xox[a-z]-[\w-]{10,}"  # Slack
    r"|AIza[\w-]{35}"  # Google
    r"|eyJ[\w-]{8,}\.eyJ[\w-]+\.[\w-]*"  # a JSON web token
    r")|-----BEGIN [A-Z ]*PRIVATE KEY-----(?s:.*?)(?:-----END [A-Z ]*PRIVATE KEY-----|\Z)",
    re.ASCII,
)


def api_keys(text: str) -> Iterator[Span]:
    """Find API keys by the formats of their issuers, and private keys."""
    return (match.span() for match in _SECRET.finditer(text))


def detector(entity: Entity, phone_region: str) -> Detector:
    """Return the detector of an entity."""
    detectors: dict[Entity, Detector] = {
        "EMAIL_ADDRESS": email_addresses,
        "PHONE_NUMBER": functools.partial(phone_numbers, region=phone_region),
        "CREDIT_CARD": credit_cards,
        "IBAN_CODE": ibans,
        "IP_ADDRESS": ip_addresses,
        "API_KEY": api_keys,
    }
    return detectors[entity]
