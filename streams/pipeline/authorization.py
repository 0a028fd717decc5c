"""Authorization of requests: the rules of a tenant, narrowed by the rules of the API key."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from fnmatch import fnmatchcase

from schemas.events.parts import Failure, Request
from streams.config.settings import ANONYMOUS_TENANT, Key, Tenant

UNKNOWN_KEY = Failure(
    status=401, type="invalid_request_error", code="invalid_api_key", message="This API key is no longer configured."
)
QUOTED_MODEL_CHARACTERS = 100
"""Characters of a model's name that an error message repeats."""

_DEFAULT_TENANT = Tenant()


class Authorizer:
    """Checks requests against the configured tenants and keys.

    Args:
        tenants: by name. A tenant that is not configured has the default rules.
        keys: all API keys.
        models: the configured model names, in the order of the configuration.

    """

    def __init__(self, tenants: Mapping[str, Tenant], keys: Iterable[Key], models: Iterable[str] = ()) -> None:
        self._tenants = tenants
        self._keys = {key.id: key for key in keys}
        self._models = tuple(models)

    def check_operation(self, request: Request) -> Failure | None:
        """Return why this caller may not use this operation, or None if it may."""
        if not self._is_known(request):
            return UNKNOWN_KEY
        if all(request.operation in rule.operations for rule in self._rules(request.tenant, request.key_id)):
            return None
        return _permission_failure(
            "operation_not_allowed", f"Operation {request.operation!r} is not allowed for this caller."
        )

    def check_model(self, request: Request, model: str) -> Failure | None:
        """Return why this caller may not use this model, or None if it may."""
        if self.may_use_model(request.tenant, request.key_id, model):
            return None
        return _permission_failure(
            "model_not_allowed", f"Model {model[:QUOTED_MODEL_CHARACTERS]!r} is not allowed for this caller.", "model"
        )

    def may_use_model(self, tenant: str, key_id: str, model: str) -> bool:
        """Return whether this caller may use a model name or ``provider/model``. It need not exist."""
        return all(any(fnmatchcase(model, pattern) for pattern in rule.models) for rule in self._rules(tenant, key_id))

    def allowed_models(self, tenant: str, key_id: str) -> list[str]:
        """Return the configured model names that this caller may use, in the order of the configuration."""
        return [model for model in self._models if self.may_use_model(tenant, key_id, model)]

    def _is_known(self, request: Request) -> bool:
        """Return whether the caller is still configured: a record may be older than the configuration."""
        if request.source == "kafka" or not self._keys:
            return request.tenant in self._tenants or request.tenant == ANONYMOUS_TENANT
        key = self._keys.get(request.key_id)
        return key is not None and key.tenant == request.tenant

    def _rules(self, tenant: str, key_id: str) -> tuple[Tenant | Key, ...]:
        tenant_rules, key_rules = self._tenants.get(tenant, _DEFAULT_TENANT), self._keys.get(key_id)
        return (tenant_rules,) if key_rules is None else (tenant_rules, key_rules)


def _permission_failure(code: str, message: str, param: str | None = None) -> Failure:
    return Failure(status=403, type="permission_error", code=code, message=message, param=param)
