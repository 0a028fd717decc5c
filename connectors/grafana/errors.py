"""Moved out of connectors/grafana/client.py."""

from __future__ import annotations

from schemas.errors import UserError


class GrafanaError(UserError):
    """Grafana did not do it. The message is one sentence for people."""


class GrafanaAddressError(GrafanaError):
    """Nobody answers at this address, or not as Grafana does."""


class GrafanaRefusedError(GrafanaError):
    """The token or password is wrong, or may not do this."""


class GrafanaMissingError(GrafanaError):
    """There is no such thing."""


class GrafanaConflictError(GrafanaError):
    """Something else of this name or uid is there already."""


class GrafanaInvalidError(GrafanaError):
    """What was sent is not accepted."""


class GrafanaFailedError(GrafanaError):
    """Grafana itself failed. Trying again later may help."""


_ERRORS: dict[int, tuple[type[GrafanaError], str]] = {
    400: (GrafanaInvalidError, "Grafana does not accept this"),
    401: (GrafanaRefusedError, "Grafana refused the token or password: a new token is made under Service accounts"),
    403: (GrafanaRefusedError, "Grafana knows the token but does not let it do this: its service account needs Admin"),
    404: (GrafanaMissingError, "Grafana has no such thing"),
    409: (GrafanaConflictError, "Grafana holds something that is in the way: rename or delete it there"),
    412: (GrafanaConflictError, "Grafana holds something that is in the way: rename or delete it there"),
    500: (GrafanaFailedError, "Grafana failed: its own log says why"),
}
"""By status; any other is taken for the 400 or 500 of its hundred."""
