"""Configuration loader: ``sluice.yaml``, and environment variables that say where things run.

An error names its place in the file and never quotes a value. ``${NAME}`` in a value is replaced with the environment
variable, so that the file needs no secret.
"""

from __future__ import annotations

import os
import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import yaml
from pydantic import ValidationError

from connectors.providers.settings import BASE_URL
from schemas.validation_messages import describe, path_of
from streams.config import yaml_loader
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
"""Environment variables that override the file, each with the path of its setting."""

PATTERN_HINTS = {
    NAME: "must be a name of lower-case letters, digits and hyphens, 63 at most",
    TARGET: "must be provider/model",
    BASE_URL: "must be an address such as https://host/path, without a login or a query",
    HASH: "must be sha256: and 64 hexadecimal digits, as `sluice keys new` prints it",
}
"""Error messages for values that do not match a pattern."""

_VARIABLE = re.compile(r"\$\{([A-Za-z_][A-Za-z0-9_]*)\}")
_WITHOUT_BRACES = re.compile(r"\$[A-Za-z_][A-Za-z0-9_]*")
_PROVIDERS, _POLICIES = "providers", "policies"
_SIGNING_KEYS = ("kafka", "signing_keys")

Steps = tuple[int | str, ...]
"""Path of a value in the file."""


def load(path: Path | None = None, environ: Mapping[str, str] | None = None, *, secrets: bool = True) -> Settings:
    """Return the settings of ``path``, else of the file in SLUICE_CONFIG, else of ./sluice.yaml, else the defaults.

    Without ``secrets``, the secret of a provider and a signing key may name a variable that is not set. Such settings
    are for commands that call no provider and sign nothing; their hash is the same.

    Raises:
        ConfigurationError: the named file is missing, is not YAML, or has an invalid setting. One line per fault.

    """
    environ = os.environ if environ is None else environ
    named = path or (Path(environ["SLUICE_CONFIG"]) if environ.get("SLUICE_CONFIG") else None)
    source = named or Path("sluice.yaml")
    document = _read(source) if named or source.exists() else {}
    variables = _Variables(environ)
    content = {
        name: variables.expand(section, (name,))
        for name, section in document.items()
        if section is not None  # an empty section is the same as none
    }
    overridden = _override(content, environ)
    required = [each for each in variables.faults if secrets or not _is_optional(each)]
    try:
        settings = Settings.model_validate(content)
    except ValidationError as error:
        invalid = _faults(error, source, content, overridden, {each.steps for each in variables.faults})
        raise ConfigurationError("\n".join([*(each.at(source) for each in variables.faults), *invalid])) from None
    if not required:  # a variable in the public part is no secret: it decides about requests, and is in the hash
        required = [each for each in variables.faults if each.variable in settings.public_json]
    if required:
        raise ConfigurationError("\n".join(each.at(source) for each in required))
    return settings


def _read(source: Path) -> dict[str, Any]:
    try:
        content = yaml_loader.load(source.read_text("utf-8"))
    except FileNotFoundError:
        raise ConfigurationError(f"{source}: no such file (named by SLUICE_CONFIG or on the command line)") from None
    except UnicodeDecodeError:
        raise ConfigurationError(f"{source}: can't be read: it is not UTF-8") from None
    except (OSError, ValueError) as error:  # ValueError: a null byte in the path
        raise ConfigurationError(f"{source}: can't be read: {getattr(error, 'strerror', '') or error}") from None
    except yaml.YAMLError as error:
        raise ConfigurationError(f"{source}: {yaml_loader.describe(error)}") from None
    if not isinstance(content, dict | None):
        raise ConfigurationError(f"{source}: must be a mapping, such as `providers: …`")
    return content or {}


@dataclass(frozen=True, slots=True)
class _VariableFault:
    steps: Steps
    problem: str
    variable: str = ""
    """The reference to the variable that is not set, as it is in the file."""

    def at(self, source: Path) -> str:
        place = "".join(f"[{step}]" if isinstance(step, int) else f".{step}" for step in self.steps)
        return f"{source}: {place[1:]}: {self.problem}"


def _is_optional(fault: _VariableFault) -> bool:
    """Return whether a command that needs no secret may ignore the fault."""
    is_secret = fault.steps[0] == _PROVIDERS or fault.steps[:2] == _SIGNING_KEYS
    return is_secret and bool(fault.variable)


@dataclass
class _Variables:
    """Replaces ``${NAME}`` in values, and collects the faults."""

    environ: Mapping[str, str]
    faults: list[_VariableFault] = field(default_factory=list)

    def expand(self, value: object, steps: Steps) -> object:
        """Return the value with its variables replaced. One that is not set is left as it is."""
        if isinstance(value, dict):
            return {key: self.expand(item, (*steps, key)) for key, item in value.items()}
        if isinstance(value, list):
            return [self.expand(item, (*steps, index)) for index, item in enumerate(value)]
        if not isinstance(value, str):
            return value
        if _WITHOUT_BRACES.fullmatch(value) and steps[0] != _POLICIES:  # there it is a text to look for
            self.faults.append(_VariableFault(steps, "an environment variable needs braces: write ${NAME}, not $NAME"))

        def replace(match: re.Match[str]) -> str:
            if match[1] not in self.environ:
                problem = f"environment variable {match[1]} is not set"
                self.faults.append(_VariableFault(steps, problem, match[0]))
            return self.environ.get(match[1], match[0])

        return _VARIABLE.sub(replace, value)


def _override(content: dict[str, Any], environ: Mapping[str, str]) -> dict[tuple[str, ...], str]:
    """Set what the environment overrides; return the variable of each overridden setting."""
    overridden = {steps: variable for variable, steps in ENVIRONMENT_OVERRIDES.items() if environ.get(variable)}
    for steps, variable in overridden.items():
        *sections, name = steps
        inner = content
        for section in sections:
            if isinstance(inner, dict):
                if inner.get(section) is None:
                    inner[section] = {}
                inner = inner[section]
        if isinstance(inner, dict):  # else the file is wrong there, which validation reports
            inner[name] = environ[variable]
    return overridden


def _faults(
    error: ValidationError,
    source: Path,
    content: dict[str, Any],
    overridden: Mapping[tuple[str, ...], str],
    unresolved: set[Steps],
) -> list[str]:
    """Return one line per fault, with its place and without a value, which may be a secret.

    Faults of a value whose variable is not set are left out.
    """
    faults = []
    for fault in error.errors(include_input=False, include_url=False):
        if fault["loc"] in unresolved:
            continue
        place = path_of(fault)
        variable = overridden.get(tuple(str(step) for step in fault["loc"]))
        where = variable or (f"{source}: {place}" if place else str(source))
        pattern = str(fault.get("ctx", {}).get("pattern", ""))
        near = suggest(fault["loc"], content) if fault["type"] == "extra_forbidden" else ""
        suggestion = f"; did you mean `{near}`?" if near else ""
        faults.append(f"{where}: {PATTERN_HINTS.get(pattern) or describe(fault)}{suggestion}")
    return faults
