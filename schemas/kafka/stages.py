"""Names of the stages."""

from __future__ import annotations

STAGES = ("filter", "route", "call", "reply", "audit")
"""Stages in the order of the data flow."""

RUNNABLE = ("ingress", *STAGES)
"""Arguments of `sluice run`."""
