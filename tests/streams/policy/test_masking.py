from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from streams.policy.masking import Mask, apply_masks

TEXT = "0123456789"
SPANS = st.tuples(st.integers(0, 9), st.integers(1, 5)).map(lambda span: (span[0], min(10, span[0] + span[1])))


def test_match_is_replaced_by_the_label_of_its_rule() -> None:
    assert apply_masks(TEXT, [Mask(2, 4, "pii.PHONE_NUMBER")]) == "01<PHONE_NUMBER>456789"


def test_overlapping_matches_get_the_label_of_the_longest() -> None:
    masks = [Mask(1, 4, "pii.IBAN_CODE"), Mask(3, 8, "pii.CREDIT_CARD")]

    assert apply_masks(TEXT, masks) == "0<CREDIT_CARD>89"


def test_adjacent_matches_are_replaced_separately() -> None:
    assert apply_masks(TEXT, [Mask(0, 2, "pii.A"), Mask(2, 4, "pii.B")]) == "<A><B>456789"


@given(st.lists(SPANS, min_size=1))
def test_no_character_of_a_match_remains_and_all_others_do(spans: list[tuple[int, int]]) -> None:
    masked = apply_masks(TEXT, [Mask(*span, "pii.X") for span in spans])

    matched = {index for start, end in spans for index in range(start, end)}
    assert masked.replace("<X>", "") == "".join(digit for index, digit in enumerate(TEXT) if index not in matched)
