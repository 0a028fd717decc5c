"""Skews the wall clock of a Python process, which imports this module at its start from PYTHONPATH.

Only time.time and time.time_ns are shifted; monotonic clocks are not.
"""

from __future__ import annotations

import os
import time

_SKEW_S = float(os.environ.get("CHAOS_CLOCK_SKEW_S", "0"))
_now, _now_ns = time.time, time.time_ns

time.time = lambda: _now() + _SKEW_S
time.time_ns = lambda: _now_ns() + int(_SKEW_S * 1_000_000_000)
