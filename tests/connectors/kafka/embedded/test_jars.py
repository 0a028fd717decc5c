from __future__ import annotations

import threading
from pathlib import Path

import pytest

from connectors.kafka.embedded import jars


@pytest.fixture
def fetches(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """Replace Kafka's jars by two small files, and return a list with one entry per download."""
    downloads: list[str] = []
    contents = {"a.jar": b"one", "b.jar": b"two"}

    def fetch(folder: Path, progress: jars.Progress) -> list[Path]:
        folder.mkdir()
        downloads.append("fetched")
        progress("downloading")
        for name, content in contents.items():
            (folder / name).write_bytes(content)
        return [folder / name for name in contents]

    digests = {
        "a.jar": "7692c3ad3540bb803c020b3aee66cd8887123234ea0c6e7143c0add73ff431ed",
        "b.jar": "3fc4ccfe745870e2c0d99f71f30ff0656c8dedd41cc1d7d3d376b0dbe685e2f3",
    }
    monkeypatch.setattr(jars, "_fetch", fetch)
    monkeypatch.setattr(jars, "reviewed_hashes", lambda: digests)
    return downloads


def silent(_message: str) -> None:
    pass


def test_jars_are_downloaded_once(tmp_path: Path, fetches: list[str]) -> None:
    jars.class_path(tmp_path / "kafka", silent)

    paths = jars.class_path(tmp_path / "kafka", silent)

    assert [path.read_bytes() for path in paths] == [b"one", b"two"]
    assert fetches == ["fetched"]


def test_progress_is_reported_only_for_downloads(tmp_path: Path, fetches: list[str]) -> None:
    messages: list[str] = []

    jars.class_path(tmp_path / "kafka", messages.append)
    jars.class_path(tmp_path / "kafka", messages.append)

    assert messages == ["downloading"]


@pytest.mark.parametrize("damage", ["truncated", "missing", "changed"])
def test_damaged_jar_is_downloaded_again(tmp_path: Path, fetches: list[str], damage: str) -> None:
    jar = jars.class_path(tmp_path / "kafka", silent)[0]
    if damage == "missing":
        jar.unlink()
    else:
        jar.write_bytes(b"on" if damage == "truncated" else b"ONE")

    paths = jars.class_path(tmp_path / "kafka", silent)

    assert paths[0].read_bytes() == b"one"
    assert fetches == ["fetched", "fetched"]


def test_leftovers_of_a_killed_download_are_replaced(tmp_path: Path, fetches: list[str]) -> None:
    (tmp_path / "kafka" / "download").mkdir(parents=True)
    (tmp_path / "kafka" / "download" / "half.jar").write_bytes(b"o")

    paths = jars.class_path(tmp_path / "kafka", silent)

    assert [path.name for path in paths] == ["a.jar", "b.jar"]
    assert not (tmp_path / "kafka" / "download").exists()


def test_concurrent_processes_download_once(tmp_path: Path, fetches: list[str]) -> None:
    threads = [threading.Thread(target=jars.class_path, args=(tmp_path / "kafka", silent)) for _ in range(2)]

    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()

    assert fetches == ["fetched"]


def test_jars_with_other_hashes_are_refused(
    tmp_path: Path, fetches: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(jars, "reviewed_hashes", lambda: {"a.jar": "0" * 64, "b.jar": "0" * 64})

    with pytest.raises(jars.JarsError, match=r"is not Apache Kafka 4\.3\.1: its hashes differ$"):
        jars.class_path(tmp_path / "kafka", silent)


def test_unwritable_directory_is_one_sentence(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("in the way")

    with pytest.raises(jars.JarsError, match=r"^Apache Kafka 4\.3\.1 can't be stored in .*: Not a directory$"):
        jars.class_path(tmp_path / "file" / "kafka", silent)


def test_missing_network_is_one_sentence(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("HTTP_PROXY", "HTTPS_PROXY", "ALL_PROXY", "http_proxy", "https_proxy", "all_proxy"):
        monkeypatch.setenv(name, "http://127.0.0.1:9")  # discard port: nothing listens
    for name in ("NO_PROXY", "no_proxy"):
        monkeypatch.delenv(name, raising=False)

    with pytest.raises(jars.JarsError, match=r"^Apache Kafka 4\.3\.1 could not be downloaded \(\w+\); the first"):
        jars.class_path(tmp_path / "kafka", silent)


def test_cache_follows_xdg_cache_home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))

    assert jars.cache_folder() == tmp_path / "sluice" / "kafka-4.3.1"


def test_each_jar_has_a_hash_and_kafka_is_included() -> None:
    digests = jars.reviewed_hashes()

    assert all(len(digest) == 64 for digest in digests.values())
    assert {f"kafka_2.13-{jars.KAFKA}.jar", f"kafka-clients-{jars.KAFKA}.jar"} <= digests.keys()
