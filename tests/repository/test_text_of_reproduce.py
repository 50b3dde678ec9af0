"""The folder of published tables keeps the package's agreements about its text."""

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
    assert PACKAGE.density <= 7.2
    assert quantile(PACKAGE.statements, 0.9) <= 15


def test_names_say_what_they_do():
    assert PACKAGE.hiding() == []
    assert PACKAGE.participles() == []
    assert len(PACKAGE.large_without_comment()) <= 3, PACKAGE.large_without_comment()


@pytest.mark.parametrize("file", PACKAGE.files, ids=lambda file: file.path.name)
def test_a_file_is_short_and_refuses_in_one_place(file):
    assert file.text.count("\n") <= 300
    assert not any(isinstance(node, ast.Raise | ast.Assert) for node in ast.walk(file.tree))
    assert ast.get_docstring(file.tree)
