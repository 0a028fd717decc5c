"""The project's files, for the tests of layout and language."""

from __future__ import annotations

import ast
import functools
import itertools
import subprocess
from collections.abc import Iterator
from pathlib import Path

ROOT = Path(__file__).parents[1]
PRODUCT = ("streams", "connectors", "schemas", "dashboards")


@functools.cache
def tracked(*suffixes: str) -> tuple[Path, ...]:
    """Return the files with these suffixes that are under version control or new, relative to the root."""
    listed = subprocess.run(
        ["git", "ls-files", "--cached", "--others", "--exclude-standard"],
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=True,
    )
    files = (Path(line) for line in listed.stdout.splitlines())
    return tuple(sorted(file for file in files if file.suffix in suffixes and (ROOT / file).is_file()))


@functools.cache
def modules(*roots: str) -> tuple[Path, ...]:
    """Return the Python files below these top-level folders, relative to the root."""
    return tuple(file for file in tracked(".py") if file.parts[0] in (roots or PRODUCT))


@functools.cache
def tree(file: Path) -> ast.Module:
    """Return the syntax tree of a Python file."""
    return ast.parse((ROOT / file).read_text("utf-8"))


Documented = ast.Module | ast.ClassDef | ast.FunctionDef | ast.AsyncFunctionDef


def docstrings(file: Path) -> Iterator[tuple[int, str]]:
    """Yield line and text of each docstring, those below constants and fields included."""
    for node in ast.walk(tree(file)):
        if isinstance(node, Documented) and (text := ast.get_docstring(node)):
            yield node.body[0].lineno, text
        body = getattr(node, "body", None)
        if not isinstance(body, list):
            continue
        for assigned, after in itertools.pairwise(body):
            if isinstance(assigned, ast.Assign | ast.AnnAssign) and _is_text(after):
                yield after.lineno, after.value.value.strip()


def _is_text(node: ast.stmt) -> bool:
    return isinstance(node, ast.Expr) and isinstance(node.value, ast.Constant) and isinstance(node.value.value, str)
