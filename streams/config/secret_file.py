"""Secret that the gateway makes for itself and keeps in a file of the state directory."""

from __future__ import annotations

import contextlib
import os
import secrets
from pathlib import Path

_RANDOM_BYTES = 32


def new_secret() -> str:
    """Return 256 random bits as hexadecimal digits."""
    return secrets.token_hex(_RANDOM_BYTES)


def read_or_create_secret(path: Path) -> str:
    """Return the secret in a file. If there is none, make one with mode 0600.

    The file is linked into place complete, so that of two processes that start together both return the same secret.

    Raises:
        OSError: the file can't be read or written.

    """
    if not path.exists():
        path.parent.mkdir(parents=True, exist_ok=True)
        partial = path.with_name(f".{path.name}.{os.getpid()}-{secrets.token_hex(4)}")
        try:
            descriptor = os.open(partial, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
            with os.fdopen(descriptor, "w", encoding="ascii") as file:
                file.write(new_secret())
            with contextlib.suppress(FileExistsError):
                os.link(partial, path)
        finally:
            partial.unlink(missing_ok=True)
    return path.read_text("ascii").strip()
