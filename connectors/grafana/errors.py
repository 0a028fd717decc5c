"""Errors of Grafana, and their mapping from HTTP statuses."""

from __future__ import annotations

from schemas.errors import UserError


class GrafanaError(UserError):
    """Grafana did not accept a request. The message is one sentence for people."""


class GrafanaAddressError(GrafanaError):
    """The address does not answer, or the answer is not Grafana's."""


class GrafanaRefusedError(GrafanaError):
    """The token or password is wrong, or lacks permission."""


class GrafanaMissingError(GrafanaError):
    """The object does not exist."""


class GrafanaConflictError(GrafanaError):
    """Another object has this name or uid."""


class GrafanaInvalidError(GrafanaError):
    """Grafana rejects the content of the request."""


class GrafanaFailedError(GrafanaError):
    """Grafana itself failed. A later attempt may succeed."""


_ERRORS: dict[int, tuple[type[GrafanaError], str]] = {
    400: (GrafanaInvalidError, "Grafana rejects the request"),
    401: (GrafanaRefusedError, "Grafana rejects the token or password: create a new token under Service accounts"),
    403: (GrafanaRefusedError, "The Grafana token lacks permission: its service account needs the role Admin"),
    404: (GrafanaMissingError, "The object does not exist in Grafana"),
    409: (GrafanaConflictError, "Another object in Grafana has this name: rename or delete it there"),
    412: (GrafanaConflictError, "Another object in Grafana has this name: rename or delete it there"),
    500: (GrafanaFailedError, "Grafana failed: see its log"),
}
"""Error by HTTP status; other 4xx are as 400, other 5xx as 500."""
