"""The parts of the gateway, by name."""

from __future__ import annotations

STAGES = ("filter", "route", "call", "reply", "audit")
"""The stages in the order in which data meets them."""

RUNNABLE = ("ingress", *STAGES)
"""What `sluice run` takes."""
