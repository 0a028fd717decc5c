"""First start of the containers: creates a configuration with one key, so that the gateway is never open to others.

The key is written to a file next to the configuration, which only this user can read, and to no log.
"""

from __future__ import annotations

import os
import sys
from pathlib import Path

from streams.config.api_keys import new_key
from streams.config.loader import load
from streams.config.secret_file import new_secret
from streams.config.settings import ANONYMOUS_TENANT, ConfigurationError

KEY_FILE = "first.key"

_STANZA = """
keys:
  # created at the first start; the key is in {file}, until you move it
  - id: first
    tenant: {tenant}
    hash: {digest}
"""


def first_start(template: Path, config: Path) -> str:
    """Create the configuration unless it exists, and return a sentence that says what was done.

    Raises:
        ConfigurationError: its directory is not writable, or the existing configuration is invalid.

    """
    if config.exists():
        load(config)
        return f"using {config}"
    key, digest = new_key()
    key_file = config.with_name(KEY_FILE)
    stanza = _STANZA.format(file=key_file, tenant=ANONYMOUS_TENANT, digest=digest)
    try:
        _write(key_file, key + "\n")
        _write(config, _with_signing_key(template.read_text("utf-8")) + stanza)
    except OSError as error:
        raise ConfigurationError(
            f"{error.filename}: can't be written ({error.strerror}); create the file sluice.yaml yourself"
        ) from None
    return f"created {config} with a first key, which is in {key_file}"


def _with_signing_key(text: str) -> str:
    """Add a signing key to the section of Kafka, because the ingress and the filter run in separate containers."""
    setting = f"  signing_keys: [{new_secret()}] # the ingress signs its events for the filter with it\n"
    return text.replace("kafka:\n", f"kafka:\n{setting}", 1) if "\nkafka:\n" in text else f"{text}\nkafka:\n{setting}"


def _write(path: Path, text: str) -> None:
    """Write the file completely or not at all, readable by this user only."""
    partial = path.with_name(f".{path.name}.part")
    partial.unlink(missing_ok=True)
    with os.fdopen(os.open(partial, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "w", encoding="utf-8") as file:
        file.write(text)
    partial.replace(path)


if __name__ == "__main__":
    try:
        print(f"sluice: {first_start(Path(sys.argv[1]), Path(os.environ['SLUICE_CONFIG']))}")  # noqa: T201 - a command
    except ConfigurationError as fault:
        sys.exit(f"sluice: {fault}")
