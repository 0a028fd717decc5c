"""Shape of the source tree: sizes of modules and functions, files per folder, docstring openings, repeated class names.

Prints one Markdown table with a column for each commit named on the command line, and one for the working tree:

    python -m benchmarks.code_shape [COMMIT ...]
"""

from __future__ import annotations

import ast
import io
import subprocess
import sys
import tarfile
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path, PurePosixPath

ROOT = Path(__file__).parents[1]
PACKAGES = ("streams", "connectors", "schemas")
QUESTION_WORDS = frozenset({"what", "who", "whom", "whose", "how", "whether", "where", "when", "why", "which"})
WORKING_TREE = "working tree"

Function = ast.FunctionDef | ast.AsyncFunctionDef
Documented = ast.Module | ast.ClassDef | Function


@dataclass
class Shape:
    """Raw counts of one version of the tree, one entry for each module, function, class or docstring."""

    module_lines: list[int] = field(default_factory=list)
    function_lines: list[int] = field(default_factory=list)
    """Without the docstring and the decorators."""
    parameters: list[int] = field(default_factory=list)
    """Without ``self`` and ``cls``."""
    openings: list[str] = field(default_factory=list)
    """First word of each docstring, in lower case."""
    folders: Counter[str] = field(default_factory=Counter)
    """Python files directly in each folder, ``__init__.py`` not counted."""
    classes: Counter[str] = field(default_factory=Counter)

    def add(self, path: PurePosixPath, source: str) -> None:
        """Count one module. ``__init__.py`` counts as a module unless it is empty, but not as a file of its folder."""
        if path.name != "__init__.py":
            self.folders[str(path.parent)] += 1
        if not source.strip():
            return
        self.module_lines.append(len(source.splitlines()))
        for node in ast.walk(ast.parse(source)):
            if isinstance(node, Documented) and (docstring := ast.get_docstring(node)):
                self.openings.append(docstring.split()[0].strip(".,:;'").lower())
            if isinstance(node, Function):
                self.function_lines.append(_body_lines(node))
                self.parameters.append(_parameter_count(node))
            elif isinstance(node, ast.ClassDef):
                self.classes[node.name] += 1


def measure(files: Iterable[tuple[PurePosixPath, str]]) -> Shape:
    """Count all modules of one version of the tree."""
    shape = Shape()
    for path, source in files:
        shape.add(path, source)
    return shape


def figures(shape: Shape) -> Mapping[str, str]:
    """Rows of the table, by their names."""
    folders = list(shape.folders.values())
    questions = sum(word in QUESTION_WORDS for word in shape.openings)
    repeated = sum(count > 1 for count in shape.classes.values())
    return {
        "modules": f"{len(shape.module_lines)}",
        "lines per module: median / p90 / max": _spread(shape.module_lines),
        "lines per function, without docstring: median / p90 / max": _spread(shape.function_lines),
        "parameters per function: p90 / max": f"{_quantile(shape.parameters, 0.9)} / {max(shape.parameters)}",
        "Python files per folder, without `__init__.py`: median / max": f"{_quantile(folders, 0.5)} / {max(folders)}",
        "folders": f"{len(folders)}",
        "docstrings that open with a question word": f"{questions} of {len(shape.openings)}",
        "class names defined twice or more": f"{repeated}",
    }


def working_tree() -> Iterator[tuple[PurePosixPath, str]]:
    """Read the Python files of the packages as they are on the disk."""
    for package in PACKAGES:
        for path in sorted((ROOT / package).rglob("*.py")):
            yield PurePosixPath(path.relative_to(ROOT)), path.read_text("utf-8")


def at_commit(commit: str) -> Iterator[tuple[PurePosixPath, str]]:
    """Read the Python files of the packages as Git has them at a commit."""
    archive = subprocess.run(["git", "archive", commit, *PACKAGES], cwd=ROOT, check=True, stdout=subprocess.PIPE)
    with tarfile.open(fileobj=io.BytesIO(archive.stdout)) as tar:
        for member in tar:
            content = tar.extractfile(member) if member.name.endswith(".py") else None
            if content is not None:
                yield PurePosixPath(member.name), content.read().decode()


def table(columns: Mapping[str, Mapping[str, str]]) -> str:
    """Return a Markdown table: one row for each figure, one column for each version."""
    names = list(next(iter(columns.values())))
    lines = [f"| | {' | '.join(columns)} |", f"| --- |{' --- |' * len(columns)}"]
    lines += [f"| {name} | {' | '.join(column[name] for column in columns.values())} |" for name in names]
    return "\n".join(lines)


def main(commits: Sequence[str]) -> None:
    """Print the table."""
    versions = {commit: measure(at_commit(commit)) for commit in commits} | {WORKING_TREE: measure(working_tree())}
    print(table({name: figures(shape) for name, shape in versions.items()}))


def _body_lines(function: Function) -> int:
    lines = (function.end_lineno or function.lineno) - function.lineno + 1
    first = function.body[0]
    if ast.get_docstring(function) is not None:
        lines -= (first.end_lineno or first.lineno) - first.lineno + 1
    return lines


def _parameter_count(function: Function) -> int:
    given = function.args
    named = [each.arg for each in (*given.posonlyargs, *given.args, *given.kwonlyargs)]
    starred = [each.arg for each in (given.vararg, given.kwarg) if each is not None]
    return len([name for name in (*named, *starred) if name not in {"self", "cls"}])


def _spread(values: Sequence[int]) -> str:
    return f"{_quantile(values, 0.5)} / {_quantile(values, 0.9)} / {max(values)}"


def _quantile(values: Sequence[int], part: float) -> int:
    """Nearest rank, so that every figure is one that occurs."""
    return sorted(values)[min(len(values) - 1, int(part * len(values)))]


if __name__ == "__main__":
    main(sys.argv[1:])
