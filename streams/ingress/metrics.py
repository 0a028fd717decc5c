"""What the ingress counts, under OpenTelemetry's names where it has one. One registry per application."""

from __future__ import annotations

from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram, ProcessCollector

_LATENCY_BUCKETS = (0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30, 60, 120, 300)
"""Seconds. OpenTelemetry's advice for HTTP up to ten, then what language models take."""
_ACK_BUCKETS = (0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 5)


class Metrics:
    """The ingress's instruments."""

    def __init__(self) -> None:
        self.registry = registry = CollectorRegistry()
        ProcessCollector(registry=registry)
        self.requests = Histogram(
            "http_server_request_duration_seconds",
            "From the headers of a request to the last byte of its response; status 499: the client hung up.",
            ("http_request_method", "http_route", "http_response_status_code"),
            buckets=_LATENCY_BUCKETS,
            registry=registry,
        )
        self.acknowledged = Histogram(
            "sluice_ingress_acknowledge_seconds",
            "How long the broker took to acknowledge a request.",
            buckets=_ACK_BUCKETS,
            registry=registry,
        )
        self.waiting = Gauge("sluice_ingress_waiting", "Callers that wait for a reply now.", registry=registry)
        self.kept = Gauge("sluice_ingress_answers_kept_bytes", "Answers kept for callers that poll.", registry=registry)
        self.backlog = Gauge(
            "sluice_ingress_backlog",
            "Requests on the log without an end, as far as this ingress knows.",
            ("lane",),
            registry=registry,
        )
        self.expected = Gauge(
            "sluice_ingress_expected_wait_seconds",
            "How long a request that comes now would be under way.",
            registry=registry,
        )
        self.refused = Counter(
            "sluice_ingress_refused",
            "Requests refused at the door, before the filter saw them.",
            ("code",),
            registry=registry,
        )
        self.unrecorded = Counter(
            "sluice_ingress_refusals_unrecorded",
            "Refusals at the door that did not become an event: too many at once, or the broker was away.",
            registry=registry,
        )
        self.unclaimed = Counter(
            "sluice_ingress_replies_unclaimed", "Replies that came when nobody waited for them.", registry=registry
        )
