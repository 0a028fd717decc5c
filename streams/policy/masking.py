"""Masking: a label in place of each piece of personal data that a detector found in a text."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Mask:
    """Span of a text that a rule masks, in characters."""

    start: int
    end: int
    rule: str

    @property
    def label(self) -> str:
        """Return the text that replaces the span."""
        return f"<{self.rule.removeprefix('pii.')}>"


def apply_masks(text: str, masks: Sequence[Mask]) -> str:
    """Return the text with a label in place of each match. Overlapping matches are replaced together.

    The longest match of such a group decides the label; of two equally long ones the earlier one, then the one whose
    rule comes first.
    """
    pieces, end = [], 0
    for group in _merge_overlapping(masks):
        longest = max(group, key=lambda mask: mask.end - mask.start)
        pieces += [text[end : group[0].start], longest.label]
        end = max(mask.end for mask in group)
    return "".join([*pieces, text[end:]])


def _merge_overlapping(masks: Sequence[Mask]) -> list[list[Mask]]:
    groups: list[list[Mask]] = []
    end = -1
    for mask in sorted(masks, key=lambda mask: mask.start):
        if mask.start < end:
            groups[-1].append(mask)
        else:
            groups.append([mask])
        end = max(end, mask.end)
    return groups
