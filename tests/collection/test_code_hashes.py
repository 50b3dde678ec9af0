"""Tests: collection.code_hashes."""

import pytest
from nbformat.v4 import new_code_cell, new_markdown_cell, new_notebook

from collection.code_hashes import hash_notebook, hash_package, hash_programs

PROGRAM = """
def double(x, *, by=2):
    return f"{x * by:.{by}f}"
"""


def book(*sources):
    return new_notebook(cells=[new_code_cell(source) for source in sources])


@pytest.mark.parametrize(
    "same",
    [
        PROGRAM.replace("x * by", "x*by"),
        PROGRAM.replace("(x, *, by=2)", "(\n    x,\n    *,\n    by=2,\n)"),
        PROGRAM.replace("return", "# twice as much\n    return"),
        PROGRAM.replace("    return", '    """Twice as much."""\n    return'),
        '"""A program."""' + PROGRAM,
        PROGRAM.replace('"', "'"),
    ],
)
def test_comments_and_formatting_do_not_count(same):
    assert same != PROGRAM
    assert hash_programs([same]) == hash_programs([PROGRAM])


@pytest.mark.parametrize(
    "other",
    [
        PROGRAM.replace("=2", "=3"),
        PROGRAM.replace("=2", "=2.0"),
        PROGRAM.replace("=2", "=None"),
        PROGRAM.replace("*, ", ""),
        PROGRAM.replace("x * by", "x + by"),
        PROGRAM.replace("double", "twice"),
        PROGRAM.replace("return f", 'return "" or f'),
        PROGRAM + "double(1)",
    ],
)
def test_what_runs_counts(other):
    assert hash_programs([other]) != hash_programs([PROGRAM])


def test_a_hash_is_that_of_every_python():
    # computed once on Python 3.11, 3.12 and 3.13
    assert hash_programs([PROGRAM]) == "37893eaf57fc9396"


def test_of_a_notebook_the_code_cells_count_in_their_order():
    ours = book("%xmode Minimal\nx = 1", "y = 2")
    cells = [new_markdown_cell("words"), *ours.cells]
    cells[2] = new_code_cell("y = 2  # a comment", id="another", outputs=[], execution_count=7)
    assert hash_notebook(new_notebook(cells=cells)) == hash_notebook(ours)
    for other in (book("y = 2", "%xmode Minimal\nx = 1"), book("x = 1", "y = 2"), book("%xmode Minimal\nx = 1")):
        assert hash_notebook(other) != hash_notebook(ours)


def test_of_the_package_programs_and_their_places_count(tmp_path):
    (tmp_path / "xnb" / "room").mkdir(parents=True)
    path = tmp_path / "xnb" / "room" / "maps.py"
    path.write_text(PROGRAM)
    first = hash_package(tmp_path)
    (tmp_path / "xnb" / "notes.txt").write_text("words")
    path.write_text(PROGRAM + "# words\n")
    assert hash_package(tmp_path) == first
    path.write_text(PROGRAM.replace("=2", "=3"))
    assert hash_package(tmp_path) != first
    path.write_text(PROGRAM)
    path.rename(path.with_name("other.py"))
    assert hash_package(tmp_path) != first
