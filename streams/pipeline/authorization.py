"""Who may ask for what: the rules of a tenant, and of the key that was shown, which can only be narrower."""

from __future__ import annotations

from fnmatch import fnmatchcase

from schemas.events.parts import Failure, Request
from streams.config.settings import Key, Settings, Tenant

UNKNOWN_KEY = Failure(
    status=401,
    type="invalid_request_error",
    code="invalid_api_key",
    message="the key of this request is not configured; ask whoever runs this gateway for another",
)
QUOTED_MODEL_CHARACTERS = 100
"""Characters of a model's name that a refusal repeats."""


class Authorizer:
    """The configured tenants and keys, found by their names."""

    def __init__(self, settings: Settings) -> None:
        self._settings = settings
        self._keys = {key.id: key for key in settings.keys}

    def check_operation(self, request: Request) -> Failure | None:
        """Say why this caller may not ask, or not for this operation; None if it may."""
        if not self._is_known(request):
            return UNKNOWN_KEY
        if all(request.operation in rule.operations for rule in self._rules(request.tenant, request.key_id)):
            return None
        return _denied("operation_not_allowed", f"you may not ask for {request.operation} here")

    def check_model(self, request: Request, model: str) -> Failure | None:
        """Say why this caller may not use this model; None if it may."""
        if self.may_use_model(request.tenant, request.key_id, model):
            return None
        return _denied(
            "model_not_allowed", f"you may not use the model {model[:QUOTED_MODEL_CHARACTERS]!r} here", "model"
        )

    def may_use_model(self, tenant: str, key_id: str, model: str) -> bool:
        """Say whether this caller may use this model, an alias or ``provider/model``, if there is such a one."""
        return all(any(fnmatchcase(model, pattern) for pattern in rule.models) for rule in self._rules(tenant, key_id))

    def allowed_models(self, tenant: str, key_id: str) -> list[str]:
        """List the configured names that this caller may use, in the order of the configuration."""
        return [alias for alias in self._settings.models if self.may_use_model(tenant, key_id, alias)]

    def _is_known(self, request: Request) -> bool:
        """Say whether the caller is still configured: a record may be older than the configuration."""
        if request.source == "kafka" or not self._keys:
            return request.tenant in self._settings.known_tenants
        key = self._keys.get(request.key_id)
        return key is not None and key.tenant == request.tenant

    def _rules(self, tenant: str, key_id: str) -> tuple[Tenant | Key, ...]:
        of_tenant, of_key = self._settings.tenant(tenant), self._keys.get(key_id)
        return (of_tenant,) if of_key is None else (of_tenant, of_key)


def _denied(code: str, message: str, param: str | None = None) -> Failure:
    return Failure(status=403, type="permission_error", code=code, message=message, param=param)
