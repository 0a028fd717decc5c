"""Tests of the script that measures the shape of the code."""

from __future__ import annotations

from pathlib import PurePosixPath

from benchmarks.code_shape import figures, measure, table, working_tree

MODULE = '''\
"""What a module says."""


class Twice:
    """A class."""

    def method(self, first: int, *rest: int) -> int:
        """Where it adds."""
        return first + sum(rest)


async def function() -> None:
    pass
'''


def test_measure_counts_modules_functions_docstrings_and_classes() -> None:
    shape = measure(
        [
            (PurePosixPath("a/__init__.py"), ""),
            (PurePosixPath("a/one.py"), MODULE),
            (PurePosixPath("a/b/two.py"), "class Twice: ..."),
        ]
    )

    assert shape.module_lines == [13, 1]
    assert sorted(shape.function_lines) == [2, 2]
    assert sorted(shape.parameters) == [0, 2]
    assert shape.folders == {"a": 1, "a/b": 1}
    assert figures(shape)["docstrings that open with a question word"] == "2 of 3"
    assert figures(shape)["class names defined twice or more"] == "1"


def test_table_of_the_working_tree_has_a_row_for_each_figure() -> None:
    found = figures(measure(working_tree()))

    assert table({"now": found}).count("\n") == len(found) + 1
