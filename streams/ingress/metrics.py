"""Prometheus metrics of the ingress, with OpenTelemetry's names where it has one. One registry per application."""

from __future__ import annotations

from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram, ProcessCollector

_LATENCY_BUCKETS = (0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30, 60, 120, 300)
"""Seconds. OpenTelemetry's advice for HTTP up to 10 s, then the range of language models."""
_ACK_BUCKETS = (0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 5)


class Metrics:
    """Metrics of the ingress."""

    def __init__(self) -> None:
        self.registry = registry = CollectorRegistry()
        ProcessCollector(registry=registry)
        self.requests = Histogram(
            "http_server_request_duration_seconds",
            "Time from the headers of a request to the last byte of its response; status 499: the client disconnected.",
            ("http_request_method", "http_route", "http_response_status_code"),
            buckets=_LATENCY_BUCKETS,
            registry=registry,
        )
        self.acknowledged = Histogram(
            "sluice_ingress_acknowledge_seconds",
            "Time until the broker acknowledged a request.",
            buckets=_ACK_BUCKETS,
            registry=registry,
        )
        self.waiting = Gauge("sluice_ingress_waiting", "Callers that currently wait for a reply.", registry=registry)
        self.kept = Gauge(
            "sluice_ingress_answers_kept_bytes", "Size of the answers kept for callers that poll.", registry=registry
        )
        self.backlog = Gauge(
            "sluice_ingress_backlog",
            "Unfinished requests on the log, as measured by this ingress.",
            ("lane",),
            registry=registry,
        )
        self.expected = Gauge(
            "sluice_ingress_expected_wait_seconds",
            "Estimated latency of a new request.",
            registry=registry,
        )
        self.refused = Counter(
            "sluice_ingress_refused",
            "Requests rejected by the ingress, before the filter.",
            ("code",),
            registry=registry,
        )
        self.unrecorded = Counter(
            "sluice_ingress_refusals_unrecorded",
            "Rejections by the ingress that were not recorded: too many at once, or the broker was unavailable.",
            registry=registry,
        )
        self.unclaimed = Counter(
            "sluice_ingress_replies_unclaimed", "Replies without a waiting caller.", registry=registry
        )
