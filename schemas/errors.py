"""Base class of errors whose message is shown to the user as it is."""

from __future__ import annotations


class UserError(Exception):
    """Error with a one-sentence message that says what to do. Any other exception is a bug and shows its traceback."""
