"""Layout: small folders, one test module for each module, one class for each name, slices of the settings."""

from __future__ import annotations

import ast
import collections
import re
from pathlib import Path

import pytest

from tests.source_tree import PRODUCT, ROOT, modules, tracked, tree

MAX_FILES = 15
MIRRORED = ("streams", "connectors", "schemas")
WHOLE_SETTINGS = ("streams/config/", "streams/cli/", "streams/supervisor/", "streams/doctor/", "streams/provisioning/")
"""Packages that read the whole configuration, beside the composition root."""
CONTRACTS = {
    "tests/connectors/providers/test_contract.py": "every kind of provider against its recordings",
    "tests/connectors/providers/test_contract_streams.py": "the same for streams",
    "tests/connectors/providers/test_foreign_addresses.py": "every kind of provider against addresses in a body",
    "tests/connectors/providers/test_init.py": "the registry of kinds",
}
"""Tests of many modules at once, with their subject."""
COMPOSITION_ROOT = {"streams/app.py", "streams/composition.py"}


def test_folder_has_at_most_15_python_files() -> None:
    sizes = collections.Counter(file.parent for file in tracked(".py"))

    assert {str(folder): size for folder, size in sizes.items() if size > MAX_FILES} == {}


def test_every_folder_of_the_product_is_a_package() -> None:
    folders = {file.parent for file in modules()}

    assert [folder for folder in folders if not (ROOT / folder / "__init__.py").exists()] == []


def test_test_module_mirrors_a_module_or_a_package() -> None:
    stray = []
    for file in tracked(".py"):
        if file.parts[:1] != ("tests",) or file.parts[1] not in MIRRORED or not file.name.startswith("test_"):
            continue
        subject = ROOT.joinpath(*file.parts[1:-1], file.stem.removeprefix("test_"))
        if not (subject.with_suffix(".py").exists() or subject.is_dir() or str(file) in CONTRACTS):
            stray.append(str(file))

    assert stray == []


def test_no_test_imports_from_a_test_module() -> None:
    importing = [
        f"{file}: {node.module}"
        for file in modules("tests", "benchmarks")
        for node in ast.walk(tree(file))
        if isinstance(node, ast.ImportFrom) and re.search(r"\.test_\w+$", node.module or "")
    ]

    assert importing == []


def test_class_name_is_defined_once() -> None:
    defined = collections.defaultdict(list)
    for file in modules():
        for node in tree(file).body:
            if isinstance(node, ast.ClassDef) and not node.name.startswith("_"):
                defined[node.name].append(str(file))

    assert {name: files for name, files in defined.items() if len(files) > 1} == {}


PARTICIPLES = {"told", "made", "said", "kept", "written", "given", "taken", "known", "held", "sent", "found", "shown"}
PARTICIPLES |= {"begun", "gone", "meant", "drawn", "left", "seen", "done", "lost", "sold"}
VERBS_IN_ED = {"embed", "feed", "need", "proceed", "seed", "exceed"}


def is_participle(name: str) -> bool:
    word = name.strip("_")
    return word in PARTICIPLES or (word.endswith("ed") and "_" not in word and word not in VERBS_IN_ED)


def test_function_is_not_named_by_a_past_participle() -> None:
    named = [
        f"{file}:{node.lineno} {node.name}"
        for file in modules()
        for node in ast.walk(tree(file))
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef)
        and not node.decorator_list
        and is_participle(node.name)
    ]

    assert named == []


def test_only_the_composition_root_and_the_commands_import_the_whole_settings() -> None:
    importing = [
        str(file)
        for file in modules("streams")
        for node in ast.walk(tree(file))
        if isinstance(node, ast.ImportFrom)
        and node.module == "streams.config.settings"
        and any(alias.name == "Settings" for alias in node.names)
    ]

    assert [file for file in importing if not file.startswith(WHOLE_SETTINGS) and file not in COMPOSITION_ROOT] == []


ARCHITECTURE = (ROOT / "docs" / "architecture.md").read_text("utf-8")


@pytest.mark.parametrize("package", PRODUCT)
def test_map_of_the_architecture_names_every_module(package: str) -> None:
    linked = set(re.findall(r"\]\(\.\./([\w/]+\.py)\)", ARCHITECTURE))
    files = {str(file) for file in modules(package) if file.name != "__init__.py"}

    assert files - linked == set()
    assert {file for file in linked if file.startswith(f"{package}/")} - files == set()


def test_map_of_the_architecture_links_to_files_that_exist() -> None:
    linked = re.findall(r"\]\(\.\./([\w/.-]+)\)", ARCHITECTURE)

    assert [target for target in linked if not Path(ROOT, target).exists()] == []
