"""Reads the configuration: one file, ``sluice.yaml``, and a few environment variables for where things run.

Errors name the place in the file, and never a value. ``${NAME}`` is replaced from the environment, so that no secret
need stand in it.
"""

from __future__ import annotations

import os
import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import yaml
from pydantic import ValidationError

from connectors.providers.settings import BASE_URL
from schemas.validation_messages import describe, path_of
from streams.config import yaml_loader as strict_yaml
from streams.config.settings import HASH, NAME, TARGET, ConfigurationError, Settings
from streams.config.suggestions import suggest

ENVIRONMENT_OVERRIDES = {
    "SLUICE_KAFKA": ("kafka", "bootstrap_servers"),
    "SLUICE_KAFKA_PORT": ("kafka", "port"),
    "SLUICE_KAFKA_SECURITY_PROTOCOL": ("kafka", "security", "security_protocol"),
    "SLUICE_KAFKA_SASL_MECHANISM": ("kafka", "security", "sasl_mechanism"),
    "SLUICE_KAFKA_USERNAME": ("kafka", "security", "username"),
    "SLUICE_KAFKA_PASSWORD": ("kafka", "security", "password"),
    "SLUICE_KAFKA_SSL_CAFILE": ("kafka", "security", "ssl_cafile"),
    "SLUICE_KAFKA_SSL_CERTFILE": ("kafka", "security", "ssl_certfile"),
    "SLUICE_KAFKA_SSL_KEYFILE": ("kafka", "security", "ssl_keyfile"),
    "SLUICE_INSTANCE_ID": ("kafka", "instance_id"),
    "SLUICE_CLICKHOUSE_URL": ("clickhouse", "url"),
    "SLUICE_CLICKHOUSE_PORT": ("clickhouse", "port"),
    "SLUICE_HTTP_HOST": ("http", "host"),
    "SLUICE_HTTP_PORT": ("http", "port"),
    "SLUICE_HTTP_INSTANCE": ("http", "instance"),
    "SLUICE_HTTP_INSTANCES": ("http", "instances"),
    "SLUICE_GRAFANA_URL": ("grafana_url",),
    "SLUICE_STATE": ("state",),
}
"""Where things run is said by the environment, and wins over the file."""

PATTERN_HINTS = {
    NAME: "must be a name of lower-case letters, digits and hyphens, 63 at most",
    TARGET: "must be provider/model",
    BASE_URL: "must be an address such as https://host/path, without a login or a query",
    HASH: "must be sha256: and 64 hexadecimal digits, as `sluice keys` prints it",
}
"""What is meant by a pattern."""

_VARIABLE = re.compile(r"\$\{([A-Za-z_][A-Za-z0-9_]*)\}")


def load(path: Path | None = None, environ: Mapping[str, str] | None = None, *, secrets: bool = True) -> Settings:
    """The settings of the file that is named, else by SLUICE_CONFIG, else ./sluice.yaml, else the defaults.

    Without ``secrets`` a provider's secret may name a variable that is not set. Such settings are for who makes no
    provider; their hash is the same.

    Raises:
        ConfigurationError: the file is missing though named, is not YAML, or says something that can't be.

    """
    environ = os.environ if environ is None else environ
    named = path or (Path(environ["SLUICE_CONFIG"]) if environ.get("SLUICE_CONFIG") else None)
    source = named or Path("sluice.yaml")
    written = _read(source) if named or source.exists() else {}
    unset: dict[str, str] = {}
    content = {
        name: _expand(part, environ, f"{source}: {name}", None if secrets or name != "providers" else unset)
        for name, part in written.items()
        if part is not None  # a section with nothing in it is as good as none
    }
    overridden = _override(content, environ)
    try:
        settings = Settings.model_validate(content)
    except ValidationError as error:
        raise ConfigurationError("\n".join([*_faults(error, source, content, overridden), *unset.values()])) from None
    if needed := [fault for variable, fault in unset.items() if variable in settings.public_json]:
        raise ConfigurationError("\n".join(needed))  # no secret: it decides about requests, and is in the hash
    return settings


def _read(source: Path) -> dict[str, Any]:
    try:
        content = strict_yaml.load(source.read_text("utf-8"))
    except FileNotFoundError:
        raise ConfigurationError(f"{source}: no such file (SLUICE_CONFIG or --config names it)") from None
    except UnicodeDecodeError:
        raise ConfigurationError(f"{source}: can't be read: it is not UTF-8") from None
    except OSError as error:
        raise ConfigurationError(f"{source}: can't be read: {error.strerror}") from None
    except yaml.YAMLError as error:
        raise ConfigurationError(f"{source}: {strict_yaml.describe(error)}") from None
    if not isinstance(content, dict | None):
        raise ConfigurationError(f"{source}: must be a mapping, like `providers: …`")
    return content or {}


def _expand(value: object, environ: Mapping[str, str], path: str, unset: dict[str, str] | None) -> object:
    """The value with its variables' values. One that is not set is a fault, or stays and goes into ``unset``."""
    if isinstance(value, dict):
        return {key: _expand(item, environ, f"{path}.{key}", unset) for key, item in value.items()}
    if isinstance(value, list):
        return [_expand(item, environ, f"{path}[{index}]", unset) for index, item in enumerate(value)]
    if not isinstance(value, str):
        return value

    def variable(match: re.Match[str]) -> str:
        if match[1] in environ:
            return environ[match[1]]
        fault = f"{path}: environment variable {match[1]} is not set"
        if unset is None:
            raise ConfigurationError(fault)
        unset[match[0]] = fault
        return match[0]

    return _VARIABLE.sub(variable, value)


def _override(content: dict[str, Any], environ: Mapping[str, str]) -> dict[tuple[str, ...], str]:
    """Put the environment's word into the content; which places have it, and from which variable."""
    said = {steps: variable for variable, steps in ENVIRONMENT_OVERRIDES.items() if environ.get(variable)}
    for steps, variable in said.items():
        *sections, name = steps
        inner = content
        for section in sections:
            if isinstance(inner, dict):
                if inner.get(section) is None:
                    inner[section] = {}
                inner = inner[section]
        if isinstance(inner, dict):  # else the file is wrong there, and is told so
            inner[name] = environ[variable]
    return said


def _faults(
    error: ValidationError, source: Path, content: dict[str, Any], overridden: Mapping[tuple[str, ...], str]
) -> list[str]:
    """Every fault on one line, with its place; never a value, which may be a secret."""
    faults = []
    for fault in error.errors(include_input=False, include_url=False):
        at = path_of(fault)
        variable = overridden.get(tuple(str(step) for step in fault["loc"]))
        where = variable or (f"{source}: {at}" if at else str(source))
        pattern = str(fault.get("ctx", {}).get("pattern", ""))
        near = suggest(fault["loc"], content) if fault["type"] == "extra_forbidden" else ""
        asked = f"; did you mean `{near}`?" if near else ""
        faults.append(f"{where}: {PATTERN_HINTS.get(pattern) or describe(fault)}{asked}")
    return faults
