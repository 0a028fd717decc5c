"""Apache Kafka's jars: downloaded once per user by their Maven coordinates, and checked against ``jars.sha256``.

The hashes are committed, so only reviewed files run, whichever mirror or proxy they came from.
"""

from __future__ import annotations

import contextlib
import fcntl
import hashlib
import os
import shutil
from collections.abc import Callable, Iterator
from importlib.resources import files
from pathlib import Path

KAFKA = "4.3.1"
COORDINATES = f"org.apache.kafka:kafka_2.13:{KAFKA}+org.slf4j:slf4j-simple:1.7.36"
"""Kafka logs through slf4j, which needs a binding; the simple one needs no configuration file."""
_SIZE = "46 MB"

Progress = Callable[[str], None]
"""Callback for slow steps, with one sentence each."""


class JarsError(Exception):
    """Kafka's jars are not available. The message is one sentence."""


def cache_folder() -> Path:
    """Return the directory of this user's jars: ``$XDG_CACHE_HOME/sluice/kafka-<version>``, else under ``~/.cache``."""
    home = os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache"
    return Path(home) / "sluice" / f"kafka-{KAFKA}"


def class_path(folder: Path, progress: Progress) -> list[Path]:
    """Return the paths of all jars, after a download (46 MB) into ``folder`` if one is missing or damaged.

    Processes wait for each other.

    Raises:
        JarsError: there is no network or no disk space, or the hash of a downloaded file differs.

    """
    hashes = reviewed_hashes()
    try:
        folder.mkdir(parents=True, exist_ok=True)
        with _locked(folder / "lock"):
            jars = folder / "jars"
            if not _is_intact(jars, hashes):
                _download(folder, progress)
            if not _is_intact(jars, hashes):
                raise JarsError(f"the download in {jars} is not Apache Kafka {KAFKA}: its hashes differ")
    except OSError as error:
        raise JarsError(f"Apache Kafka {KAFKA} can't be stored in {folder}: {error.strerror or error}") from error
    return [jars / name for name in sorted(hashes)]


def reviewed_hashes() -> dict[str, str]:
    """Return the expected hash of each jar, by its name."""
    lines = files("connectors.kafka.embedded").joinpath("jars.sha256").read_text("ascii").splitlines()
    return {name: digest for digest, name in (line.split() for line in lines)}


@contextlib.contextmanager
def _locked(path: Path) -> Iterator[None]:
    with path.open("w") as file:
        fcntl.flock(file, fcntl.LOCK_EX)
        yield


def _is_intact(jars: Path, hashes: dict[str, str]) -> bool:
    return all((jars / name).is_file() and _sha256(jars / name) == digest for name, digest in hashes.items())


def _sha256(path: Path) -> str:
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def _download(folder: Path, progress: Progress) -> None:
    """Download to a new directory, then replace the old files, so that a partial download is never used."""
    fresh, jars = folder / "download", folder / "jars"
    shutil.rmtree(fresh, ignore_errors=True)
    fetched = _fetch(fresh, progress)
    shutil.rmtree(jars, ignore_errors=True)
    jars.mkdir()
    for jar in fetched:
        jar.replace(jars / jar.name)
    shutil.rmtree(fresh)


def _fetch(folder: Path, progress: Progress) -> list[Path]:
    # imported here: needed once per user, and the import takes a fifth of a second
    from jgo.env import EnvironmentBuilder, LinkStrategy  # noqa: PLC0415
    from jgo.maven import MavenContext, PythonResolver  # noqa: PLC0415

    progress(f"downloading Apache Kafka {KAFKA} ({_SIZE}, once): resolving dependencies")
    resolver = PythonResolver(progress_callback=_Meter(progress))
    # a separate repository: a partial file in ~/.m2 would be used as complete
    context = MavenContext(repo_cache=folder / "maven", resolver=resolver)
    builder = EnvironmentBuilder(context, cache_dir=folder / "environment", link_strategy=LinkStrategy.COPY)
    try:
        return [Path(jar) for jar in builder.from_endpoint(COORDINATES).all_jars]
    except Exception as error:  # the resolver passes on the errors of its HTTP client and XML parser
        raise JarsError(
            f"Apache Kafka {KAFKA} could not be downloaded ({type(error).__name__}); the first start needs the network,"
            " or set SLUICE_KAFKA to an existing Kafka"
        ) from error


class _Meter:
    """Reports the downloaded bytes at each jar; the metadata files, which come first, only count."""

    def __init__(self, progress: Progress) -> None:
        self._progress = progress
        self._bytes = 0

    @contextlib.contextmanager
    def __call__(self, name: str, _size: int) -> Iterator[Callable[[int], None]]:
        if name.endswith(".jar"):
            self._progress(f"downloading Apache Kafka {KAFKA} ({_SIZE}, once): {self._bytes / 1e6:.0f} MB, {name}")
        yield self._add

    def _add(self, count: int) -> None:
        self._bytes += count
