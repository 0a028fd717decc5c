"""Python imports this at its start when it is told to by PYTHONPATH: a process whose wall clock is wrong.

Only the clock that a wrong clock changes: time.time and time.time_ns. Monotonic time goes on as in life.
"""

from __future__ import annotations

import os
import time

_SKEW_S = float(os.environ.get("CHAOS_CLOCK_SKEW_S", "0"))
_now, _now_ns = time.time, time.time_ns

time.time = lambda: _now() + _SKEW_S
time.time_ns = lambda: _now_ns() + int(_SKEW_S * 1_000_000_000)
