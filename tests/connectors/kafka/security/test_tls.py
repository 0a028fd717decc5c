from __future__ import annotations

import ssl
from pathlib import Path
from typing import Any

import pytest

from connectors.kafka import SecurityError
from connectors.kafka.security.settings import Security
from connectors.kafka.security.tls import create_context
from tests.fixtures.certificates import CertificateAuthority


@pytest.fixture
def authority(tmp_path: Path) -> CertificateAuthority:
    return CertificateAuthority(tmp_path)


def made(**said: Any) -> ssl.SSLContext:
    return create_context(Security.model_validate({"security_protocol": "SSL", **{k: str(v) for k, v in said.items()}}))


def fault(**said: Any) -> str:
    with pytest.raises(SecurityError) as raised:
        made(**said)
    return str(raised.value)


def test_default_context_trusts_the_machines_cas_and_checks_host_names() -> None:
    found = made()

    assert found.verify_mode is ssl.CERT_REQUIRED
    assert found.check_hostname


def test_ssl_cafile_replaces_the_machines_cas(authority: CertificateAuthority) -> None:
    assert len(made(ssl_cafile=authority.file).get_ca_certs()) == 1


def test_host_name_check_can_be_disabled_alone(authority: CertificateAuthority) -> None:
    found = made(ssl_cafile=authority.file, ssl_check_hostname="false")

    assert not found.check_hostname
    assert found.verify_mode is ssl.CERT_REQUIRED


def test_certificate_and_key_can_be_one_file(authority: CertificateAuthority, tmp_path: Path) -> None:
    certfile, keyfile = authority.issue("me", "password")
    both = tmp_path / "both.pem"
    both.write_bytes(certfile.read_bytes() + keyfile.read_bytes())

    assert made(ssl_certfile=both, ssl_password="password")


def test_missing_file_is_an_error_that_names_its_setting(authority: CertificateAuthority, tmp_path: Path) -> None:
    certfile, keyfile = authority.issue("me")
    gone = tmp_path / "gone.pem"
    why = f"{gone} can't be read: No such file or directory"

    assert fault(ssl_cafile=gone) == f"kafka.security.ssl_cafile: {why}"
    assert fault(ssl_certfile=gone, ssl_keyfile=keyfile) == f"kafka.security.ssl_certfile: {why}"
    assert fault(ssl_certfile=certfile, ssl_keyfile=gone) == f"kafka.security.ssl_keyfile: {why}"


def test_invalid_or_mismatched_certificate_is_an_error(authority: CertificateAuthority, tmp_path: Path) -> None:
    certfile, keyfile = authority.issue("me")
    _, other = authority.issue("other", "password")
    noise = tmp_path / "noise.pem"
    noise.write_text("no certificate")

    assert "ssl_cafile" in fault(ssl_cafile=noise)
    assert "ssl_certfile" in fault(ssl_certfile=noise, ssl_keyfile=keyfile)
    assert "belongs to another certificate" in fault(ssl_certfile=certfile, ssl_keyfile=other, ssl_password="password")


def test_encrypted_key_without_password_raises_without_a_prompt(
    authority: CertificateAuthority,
) -> None:
    certfile, keyfile = authority.issue("me", "password")

    for password in ("", "wrong"):
        assert "ssl_password is wrong" in fault(ssl_certfile=certfile, ssl_keyfile=keyfile, ssl_password=password)
