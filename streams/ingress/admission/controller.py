"""Whether one more request may come in now, or would only wait in vain or take what others need."""

from __future__ import annotations

from schemas.events.parts import Failure, Request
from streams.config.settings import Settings
from streams.ingress.admission.in_flight import InFlightRequests
from streams.ingress.admission.wait_estimate import WaitEstimator
from streams.ingress.errors import SERVER_ERROR, ApiError

MIN_RETRY_AFTER_S = 1.0
MAX_RETRY_AFTER_S = 60.0
BATCH_RETRY_AFTER_S = 30.0


class AdmissionController:
    """The bounds at the door."""

    def __init__(self, settings: Settings, pressure: WaitEstimator, under_way: InFlightRequests) -> None:
        self._settings = settings
        self._pressure = pressure
        self._under_way = under_way

    def check(self, request: Request) -> None:
        """Let the request in.

        Raises:
            RefusedError: 503, there is too much to do; 429, too much of it is its tenant's.

        """
        self._check_tenant(request.tenant)
        if request.lane == "batch":
            self._check_batch()
        else:
            self._check_wait(request)

    def _check_tenant(self, tenant: str) -> None:
        most = self._settings.tenant(tenant).max_in_flight
        if most is not None and self._under_way.count(tenant) >= most:
            raise _too_many(f"You have as many requests under way as you may: {most}. Wait until one has its reply.")

    def _check_batch(self) -> None:
        most = self._settings.overload.max_batch_backlog
        if self._pressure.batch >= most:
            raise _overloaded(f"Requests that wait in the batch lane: {self._pressure.batch}.", BATCH_RETRY_AFTER_S)

    def _check_wait(self, request: Request) -> None:
        allowed_s = (request.deadline_at - request.received_at) / 1000
        limit_s = min(allowed_s, self._settings.overload.max_wait_s or allowed_s)
        wait_s = self._pressure.wait_s
        if wait_s >= limit_s:
            retry_after_s = min(max(wait_s - limit_s, MIN_RETRY_AFTER_S), MAX_RETRY_AFTER_S)
            raise _overloaded(f"A request takes about {wait_s:.0f} s now, this one has {limit_s:.0f}.", retry_after_s)


def _overloaded(why: str, retry_after_s: float) -> ApiError:
    message = f"This gateway has too much to do. {why} Try again later."
    milliseconds = round(retry_after_s * 1000)
    return ApiError(
        Failure(status=503, type=SERVER_ERROR, code="overloaded", message=message, retry_after_ms=milliseconds)
    )


def _too_many(message: str) -> ApiError:
    return ApiError(
        Failure(status=429, type="rate_limit_error", code="too_many_in_flight", message=message, retry_after_ms=1000)
    )
