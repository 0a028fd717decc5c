"""Signing keys of the ingress's events: from the configuration, else from a file in the state directory."""

from __future__ import annotations

from streams.config.secret_file import read_or_create_secret
from streams.config.settings import ConfigurationError, Settings

SIGNING_KEY_FILE = "signing.key"
MIN_CHARACTERS = 32


def check_signing_keys(settings: Settings) -> None:
    """Check the configured signing keys.

    Raises:
        ConfigurationError: one is too short to be a secret.

    """
    for index, key in enumerate(settings.kafka.signing_keys):
        if len(key.get_secret_value().strip()) < MIN_CHARACTERS:
            raise ConfigurationError(
                f"kafka.signing_keys[{index}]: needs at least {MIN_CHARACTERS} characters;"
                " create one with `openssl rand -hex 32`"
            )


def load_signing_keys(settings: Settings, *, may_create: bool) -> tuple[bytes, ...]:
    """Return the keys; none if no API keys and no signing keys are configured, because events are not signed then.

    Only the ingress and the filter call this. No other process has the keys.

    Args:
        settings: the whole configuration.
        may_create: whether to create the file if there is none. A process that runs the ingress or the filter alone
            may not, because the other one may run on another machine, and would refuse every event.

    Raises:
        ConfigurationError: a key is too short, the file can't be read or written, or it may not be created.

    """
    check_signing_keys(settings)
    if settings.kafka.signing_keys:
        return tuple(key.get_secret_value().strip().encode() for key in settings.kafka.signing_keys)
    if not settings.keys:
        return ()
    path = settings.state / SIGNING_KEY_FILE
    try:
        content = read_or_create_secret(path) if may_create else path.read_text("ascii").strip()
    except FileNotFoundError:
        raise ConfigurationError(
            f"kafka.signing_keys: the ingress and the filter run in separate processes and {path} does not exist; set"
            " one secret for both, which `openssl rand -hex 32` creates"
        ) from None
    except OSError as error:
        raise ConfigurationError(f"{path}: the signing key can't be read or written: {error.strerror}") from None
    if len(content) < MIN_CHARACTERS:
        raise ConfigurationError(f"{path}: the signing key is incomplete; delete the file and start again")
    return (content.encode(),)
