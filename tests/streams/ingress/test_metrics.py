from __future__ import annotations

from streams.ingress.metrics import Metrics
from tests.streams.ingress.gateway import Gateway


def test_two_applications_have_separate_metrics() -> None:
    one, other = Metrics(), Metrics()

    one.unclaimed.inc()

    assert one.registry.get_sample_value("sluice_ingress_replies_unclaimed_total") == 1
    assert other.registry.get_sample_value("sluice_ingress_replies_unclaimed_total") == 0


async def test_request_metrics_have_no_labels_from_client_text(gateway: Gateway) -> None:
    await gateway.chat()
    await gateway.http.get("/v1/requests/018f0000-0000-7000-8000-000000000000")
    await gateway.http.request("BREW", "/made/up")

    text = (await gateway.http.get("/metrics")).text

    labels = 'http_request_method="POST",http_response_status_code="200",http_route="/v1/chat/completions"'
    assert f"http_server_request_duration_seconds_count{{{labels}}} 1.0" in text
    assert 'http_route="/v1/requests/{request_id}"' in text
    assert 'http_request_method="_OTHER",http_response_status_code="404",http_route="unmatched"' in text
    assert "made" not in text
    assert "BREW" not in text
