"""Errors that are written for people."""

from __future__ import annotations


class UserError(Exception):
    """One sentence that says what to do, shown as it is. Anything else is a fault of ours and shows its trace."""
