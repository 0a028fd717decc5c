"""Checks of a valid configuration that the gateway makes at start."""

from __future__ import annotations

from streams.config.api_keys import check_binding
from streams.config.settings import ConfigurationError, Settings
from streams.config.signing_keys import check_signing_keys


def check_startable(settings: Settings) -> None:
    """Check what would keep the gateway from starting, without the network.

    Raises:
        ConfigurationError: the ingress would be open to other machines without keys, or has no reply
            partition, or a signing key is too short.

    """
    check_binding(settings)
    check_signing_keys(settings)
    if settings.http.instance >= settings.kafka.partitions:
        raise ConfigurationError(
            f"http.instance: instance {settings.http.instance} gets none of the {settings.kafka.partitions} reply"
            " partitions; run at most as many instances as kafka.partitions"
        )
