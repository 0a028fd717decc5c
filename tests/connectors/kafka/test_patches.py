"""The package itself: what ``apply`` does as a whole. Each patch has a test file of its own."""

from __future__ import annotations

import pkgutil
import subprocess
import sys
import tomllib
from pathlib import Path

import aiokafka
import pytest
from aiokafka.conn import AIOKafkaConnection, OAuthAuthenticator
from aiokafka.consumer import fetcher
from aiokafka.protocol.struct import Struct

from connectors.kafka import client_settings, patches
from connectors.kafka.patches import AIOKAFKA_VERSION, NOT_REPORTED, PATCHES, UnsupportedAiokafkaError

ROOT = Path(__file__).parents[3]
NOT_PATCHES = {"bounded_decompression"}  # a part of tolerant_batches

IMPORT_ALONE = """
import sys
from aiokafka.conn import AIOKafkaConnection, OAuthAuthenticator
from aiokafka.consumer import fetcher
from aiokafka.protocol.struct import Struct

def replaceable():
    return (AIOKafkaConnection.send, OAuthAuthenticator.step, fetcher.Fetcher._proc_offset_request,
            fetcher.MemoryRecords, fetcher.PartitionRecords, Struct.encode, Struct.decode.__func__)

before = replaceable()
import connectors.kafka, streams.app, streams.cli.main
assert replaceable() == before, "an import patched aiokafka"
try:
    connectors.kafka.client_settings("127.0.0.1:1")
except RuntimeError as error:
    assert "patches.apply()" in str(error)
else:
    sys.exit("a client can be configured without the patches")
connectors.kafka.patches.apply()
assert not set(replaceable()) & set(before), "apply left something unpatched"
assert connectors.kafka.client_settings("127.0.0.1:1")
"""


def test_imports_leave_aiokafka_untouched_and_clients_need_apply() -> None:
    done = subprocess.run([sys.executable, "-c", IMPORT_ALONE], cwd=ROOT, capture_output=True, text=True, check=False)

    assert done.returncode == 0, done.stderr


def test_apply_twice_is_the_same_as_once() -> None:
    patches.apply()
    patched = (
        AIOKafkaConnection.send,
        OAuthAuthenticator.step,
        fetcher.Fetcher._proc_offset_request,
        fetcher.MemoryRecords,
        fetcher.PartitionRecords,
        Struct.encode,
        Struct.decode,
    )

    patches.apply()

    assert patched == (
        AIOKafkaConnection.send,
        OAuthAuthenticator.step,
        fetcher.Fetcher._proc_offset_request,
        fetcher.MemoryRecords,
        fetcher.PartitionRecords,
        Struct.encode,
        Struct.decode,
    )


@pytest.mark.parametrize("version", ["0.13.0", "0.14.1", "0.14.0.post1"])
def test_apply_refuses_another_version_of_aiokafka_and_patches_nothing(
    version: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(patches, "_is_applied", False)
    monkeypatch.setattr(aiokafka, "__version__", version)
    send = AIOKafkaConnection.send

    with pytest.raises(UnsupportedAiokafkaError, match=f"aiokafka {version} is installed, .* install aiokafka=="):
        patches.apply()

    assert AIOKafkaConnection.send is send
    with pytest.raises(RuntimeError, match=r"patches\.apply\(\)"):
        client_settings("127.0.0.1:1")


def test_pyproject_pins_the_version_that_the_patches_were_written_for() -> None:
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
    (pinned,) = [line for line in project["dependencies"] if line.startswith("aiokafka[")]

    assert pinned.endswith(f"=={AIOKAFKA_VERSION}")


def test_every_module_of_the_package_is_a_patch_in_the_table() -> None:
    modules = {module.name for module in pkgutil.iter_modules(patches.__path__)}

    assert {patch.name for patch in PATCHES} == modules - NOT_PATCHES


@pytest.mark.parametrize("patch", PATCHES, ids=lambda patch: patch.name)
def test_every_patch_has_a_test_and_a_row_in_the_decision(patch: patches.Patch) -> None:
    page = (ROOT / "docs/decisions/008-patches-of-aiokafka.md").read_text()
    (row,) = [line for line in page.splitlines() if line.startswith(f"| [{patch.name}.py]")]

    assert (ROOT / patch.test).is_file()
    assert patch.symptom in row
    assert (patch.upstream if patch.upstream == NOT_REPORTED else f"({patch.upstream})") in row
    assert patch.remove_when in row
