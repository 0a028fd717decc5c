"""Admission control: rejects requests that would miss their deadline or exceed the limit of their tenant."""

from __future__ import annotations

from collections.abc import Mapping

from schemas.events.parts import Failure, Request
from streams.config.deployment import OverloadSettings
from streams.ingress.admission.in_flight import InFlightRequests
from streams.ingress.admission.wait_estimate import WaitEstimator
from streams.ingress.errors import SERVER_ERROR, ApiError

MIN_RETRY_AFTER_S = 1.0
MAX_RETRY_AFTER_S = 60.0
BATCH_RETRY_AFTER_S = 30.0


class AdmissionController:
    """Checks every request against the limits of its tenant and its lane.

    Args:
        overload: the configured limits of both lanes.
        max_in_flight: limit of unfinished requests, by tenant.
        estimator: the current backlog.
        in_flight: the unfinished requests of each tenant.

    """

    def __init__(
        self,
        overload: OverloadSettings,
        max_in_flight: Mapping[str, int],
        estimator: WaitEstimator,
        in_flight: InFlightRequests,
    ) -> None:
        self._overload = overload
        self._max_in_flight = max_in_flight
        self._estimator = estimator
        self._in_flight = in_flight

    def check(self, request: Request) -> None:
        """Admit the request.

        Raises:
            ApiError: 503, the backlog is too large; 429, the tenant has reached its limit.

        """
        self._check_tenant(request.tenant)
        if request.lane == "batch":
            self._check_batch()
        else:
            self._check_wait(request)

    def _check_tenant(self, tenant: str) -> None:
        limit = self._max_in_flight.get(tenant)
        if limit is not None and self._in_flight.count(tenant) >= limit:
            raise _too_many(f"Your limit of requests in flight is reached: {limit}. Wait for a reply, then retry.")

    def _check_batch(self) -> None:
        backlog = self._estimator.batch
        if backlog >= self._overload.max_batch_backlog:
            raise _overload_error(f"Requests waiting in the batch lane: {backlog}.", BATCH_RETRY_AFTER_S)

    def _check_wait(self, request: Request) -> None:
        timeout_s = (request.deadline_at - request.received_at) / 1000
        limit_s = min(timeout_s, self._overload.max_wait_s or timeout_s)
        wait_s = self._estimator.wait_s
        if wait_s >= limit_s:
            retry_after_s = min(max(wait_s - limit_s, MIN_RETRY_AFTER_S), MAX_RETRY_AFTER_S)
            raise _overload_error(
                f"A request currently takes about {wait_s:.0f} s; this one may take {limit_s:.0f} s.", retry_after_s
            )


def _overload_error(reason: str, retry_after_s: float) -> ApiError:
    message = f"The gateway is overloaded. {reason} Retry later."
    milliseconds = round(retry_after_s * 1000)
    return ApiError(
        Failure(status=503, type=SERVER_ERROR, code="overloaded", message=message, retry_after_ms=milliseconds)
    )


def _too_many(message: str) -> ApiError:
    return ApiError(
        Failure(status=429, type="rate_limit_error", code="too_many_in_flight", message=message, retry_after_ms=1000)
    )
