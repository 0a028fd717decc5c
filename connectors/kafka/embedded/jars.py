"""Apache Kafka's jars: fetched once per user by their Maven coordinates, and checked against ``jars.sha256``.

The hashes are committed, so what runs is what was reviewed, whichever mirror or proxy it came through.
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
"""Kafka logs through slf4j, which needs one binding; the simple one needs no file of its own."""
_SIZE = "46 MB"

Progress = Callable[[str], None]
"""Told what takes long, in one sentence."""


class JarsError(Exception):
    """Kafka's jars can't be had. The message is one sentence."""


def cache_folder() -> Path:
    """Where this user's jars are kept: ``$XDG_CACHE_HOME/sluice/kafka-<version>``, else under ``~/.cache``."""
    home = os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache"
    return Path(home) / "sluice" / f"kafka-{KAFKA}"


def class_path(folder: Path, progress: Progress) -> list[Path]:
    """Every jar, downloaded into ``folder`` if one is missing or damaged (46 MB). Processes wait for each other.

    Raises:
        JarsError: there is no network, no room, or what came is not what was reviewed.

    """
    wanted = reviewed()
    try:
        folder.mkdir(parents=True, exist_ok=True)
        with _locked(folder / "lock"):
            jars = folder / "jars"
            if not _whole(jars, wanted):
                _download(folder, progress)
            if not _whole(jars, wanted):
                raise JarsError(f"what was downloaded to {jars} is not Apache Kafka {KAFKA}: its hashes differ")
    except OSError as error:
        raise JarsError(f"Apache Kafka {KAFKA} can't be kept in {folder}: {error.strerror or error}") from error
    return [jars / name for name in sorted(wanted)]


def reviewed() -> dict[str, str]:
    """The hash that each jar must have, by its name."""
    lines = files("connectors.kafka.embedded").joinpath("jars.sha256").read_text("ascii").splitlines()
    return {name: digest for digest, name in (line.split() for line in lines)}


@contextlib.contextmanager
def _locked(path: Path) -> Iterator[None]:
    with path.open("w") as file:
        fcntl.flock(file, fcntl.LOCK_EX)
        yield


def _whole(jars: Path, wanted: dict[str, str]) -> bool:
    return all((jars / name).is_file() and _sha256(jars / name) == digest for name, digest in wanted.items())


def _sha256(path: Path) -> str:
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def _download(folder: Path, progress: Progress) -> None:
    """Fetch everything beside the old, then put it in its place, so that a half download is never mistaken for one."""
    fresh, jars = folder / "download", folder / "jars"
    shutil.rmtree(fresh, ignore_errors=True)
    fetched = _fetch(fresh, progress)
    shutil.rmtree(jars, ignore_errors=True)
    jars.mkdir()
    for jar in fetched:
        jar.replace(jars / jar.name)
    shutil.rmtree(fresh)


def _fetch(folder: Path, progress: Progress) -> list[Path]:
    # imported here: resolving is needed once per user, and costs every other start a fifth of a second
    from jgo.env import EnvironmentBuilder, LinkStrategy  # noqa: PLC0415
    from jgo.maven import MavenContext, PythonResolver  # noqa: PLC0415

    progress(f"downloading Apache Kafka {KAFKA} ({_SIZE}, once): asking what belongs to it")
    resolver = PythonResolver(progress_callback=_Meter(progress))
    # a repository of our own: a half file in ~/.m2 would be taken for a whole one
    context = MavenContext(repo_cache=folder / "maven", resolver=resolver)
    builder = EnvironmentBuilder(context, cache_dir=folder / "environment", link_strategy=LinkStrategy.COPY)
    try:
        return [Path(jar) for jar in builder.from_endpoint(COORDINATES).all_jars]
    except Exception as error:  # the resolver raises whatever its HTTP client and XML reader do
        raise JarsError(
            f"Apache Kafka {KAFKA} could not be downloaded ({type(error).__name__}); it needs the network once,"
            " or set SLUICE_KAFKA to a Kafka that runs elsewhere"
        ) from error


class _Meter:
    """Adds up the downloads and tells the sum at each jar; the many small files that say what is needed come first."""

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
