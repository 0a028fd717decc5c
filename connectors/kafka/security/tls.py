"""TLS context of the connections to Kafka."""

from __future__ import annotations

import contextlib
import ssl
from collections.abc import Iterator
from pathlib import Path

from connectors.kafka.errors import SecurityError
from connectors.kafka.security.settings import Security


def create_context(security: Security) -> ssl.SSLContext:
    """Create a client's TLS context. The files are read now.

    Raises:
        SecurityError: a file can't be read, is not PEM, or does not match the other. The sentence names the setting.

    """
    context = ssl.create_default_context()
    if security.ssl_cafile:
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)  # trusts this file only, not the machine's CA certificates
        with _readable("ssl_cafile", security.ssl_cafile, "it holds no certificate in PEM"):
            context.load_verify_locations(security.ssl_cafile)
    context.check_hostname = security.ssl_check_hostname
    if security.ssl_certfile:
        _load_certificate(context, security)
    return context


def _load_certificate(context: ssl.SSLContext, security: Security) -> None:
    key = security.ssl_keyfile or security.ssl_certfile
    with _readable("ssl_keyfile" if security.ssl_keyfile else "ssl_certfile", key, ""):
        Path(key).read_bytes()  # OpenSSL does not say which of the two is missing
    fault = "it is not a certificate in PEM, its key belongs to another certificate, or ssl_password is wrong"
    with _readable("ssl_certfile", security.ssl_certfile, fault):
        # a password is always given: without one, OpenSSL would prompt on the terminal
        context.load_cert_chain(security.ssl_certfile, key, security.ssl_password.get_secret_value())


@contextlib.contextmanager
def _readable(setting: str, path: str, fault: str) -> Iterator[None]:
    try:
        yield
    except ssl.SSLError:
        raise SecurityError(f"kafka.security.{setting}: {path} can't be used: {fault}") from None
    except OSError as error:
        raise SecurityError(f"kafka.security.{setting}: {path} can't be read: {error.strerror}") from None
