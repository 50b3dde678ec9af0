"""The folder of published tables: lengths as in the package; denser than it, and not to become more so.

Results carry the hash of this code, so a file is loosened when its table is computed again.
"""

import ast
import statistics

import pytest
from text_figures import ROOT, Package, quantile

PACKAGE = Package(ROOT / "reproduce")


def test_functions_are_short():
    assert statistics.median(PACKAGE.lengths) <= 7
    assert quantile(PACKAGE.lengths, 0.9) <= 21
    assert max(PACKAGE.lengths) <= 40


def test_one_thought_a_line():
    assert PACKAGE.density <= 7.7  # the package: 7.2
    assert quantile(PACKAGE.statements, 0.9) <= 18  # the package: 15


def test_names_say_what_they_do():
    # a run of an experiment has a number, and each table a function that runs it
    assert [line for line in PACKAGE.hiding() if not line.endswith("hides ['run']")] == []
    assert PACKAGE.participles() == []
    assert len(PACKAGE.large_without_comment()) <= 10, PACKAGE.large_without_comment()


@pytest.mark.parametrize("file", PACKAGE.files, ids=lambda file: file.path.name)
def test_a_file_is_short_and_refuses_in_one_place(file):
    assert file.text.count("\n") <= 300
    assert not any(isinstance(node, ast.Raise | ast.Assert) for node in ast.walk(file.tree))
    assert ast.get_docstring(file.tree)
