"""The TLS side of a connection to Kafka: whom we trust, and who we are."""

from __future__ import annotations

import contextlib
import ssl
from collections.abc import Iterator
from pathlib import Path

from connectors.kafka.errors import SecurityError
from connectors.kafka.security.settings import Security


def context(security: Security) -> ssl.SSLContext:
    """What a client needs to encrypt; the files are read now.

    Raises:
        SecurityError: a file can't be read, is no PEM, or does not go with the other. The sentence names the setting.

    """
    made = ssl.create_default_context()
    if security.ssl_cafile:
        made = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)  # trusts nobody yet, and this machine's own list not at all
        with _read("ssl_cafile", security.ssl_cafile, "it holds no certificate in PEM"):
            made.load_verify_locations(security.ssl_cafile)
    made.check_hostname = security.ssl_check_hostname
    if security.ssl_certfile:
        _identify(made, security)
    return made


def _identify(made: ssl.SSLContext, security: Security) -> None:
    key = security.ssl_keyfile or security.ssl_certfile
    with _read("ssl_keyfile" if security.ssl_keyfile else "ssl_certfile", key, ""):
        Path(key).read_bytes()  # OpenSSL does not say which of the two is missing
    wrong = "it is no certificate in PEM, its key is another's, or ssl_password is not the key's"
    with _read("ssl_certfile", security.ssl_certfile, wrong):
        # a password is always given: without one, OpenSSL would ask at the terminal
        made.load_cert_chain(security.ssl_certfile, key, security.ssl_password.get_secret_value())


@contextlib.contextmanager
def _read(setting: str, path: str, wrong: str) -> Iterator[None]:
    try:
        yield
    except ssl.SSLError:
        raise SecurityError(f"kafka.security.{setting}: {path} can't be used: {wrong}") from None
    except OSError as error:
        raise SecurityError(f"kafka.security.{setting}: {path} can't be read: {error.strerror}") from None
