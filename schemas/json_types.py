"""Types of parsed JSON."""

from __future__ import annotations

from typing import Any

JsonObject = dict[str, Any]
"""A parsed JSON object. Its values are unchecked: code that reads them must expect any JSON type."""
