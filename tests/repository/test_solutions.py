"""Readers find the solutions that the tests run: notebooks/solutions.md has all of them, word for word."""

import nbformat
import pytest
from solutions_page import NOTEBOOKS, PAGE, read_solutions, write_page


def test_the_page_is_made_of_the_solutions_that_are_run():
    assert PAGE.read_text() == write_page(), "run: python tests/repository/solutions_page.py"


@pytest.mark.parametrize("path", sorted(NOTEBOOKS.glob("*.ipynb")), ids=lambda path: path.stem)
def test_every_notebook_has_solutions_of_its_exercises(path):
    number = path.name[:2]
    solved = read_solutions()[number]
    assert f"## Notebook {number}\n" in PAGE.read_text()
    [cell] = [cell for cell in nbformat.read(path, 4).cells if cell.id == "exercise"]
    for line in cell.source.splitlines():
        if " = None  # exercise" in line:
            names = line.split(" = ")[0].replace(" ", "").split(",")
            assert all(name in solved for name in names), line
