"""Every committed notebook, opened in JupyterLab and run to its end. Minutes: `-m "not slow"` leaves it out."""

import re

import nbformat
import pytest
from driver import FINISHED
from solutions import SOLUTIONS

from conftest import ROOT

NOTEBOOKS = sorted((ROOT / "notebooks").glob("*.ipynb"))


@pytest.mark.slow
@pytest.mark.timeout(900)
@pytest.mark.parametrize("path", NOTEBOOKS, ids=lambda path: path.stem)
def test_runs_to_its_end_without_an_error_and_its_exercises_can_be_solved(path, opened_once):
    book, cells = opened_once(path.stem), nbformat.read(path, 4).cells
    book.idle()
    book.page.evaluate("window.jupyterapp.commands.execute('notebook:run-all-cells'); null")
    book.page.wait_for_function(FINISHED, timeout=600_000)
    expected = [cell for cell in cells if "raises-exception" in cell.metadata.get("tags", [])]
    assert len(book.tracebacks()) <= len(expected), book.tracebacks()
    assert book.stderr() == []
    assert book.page.get_by_text("Error displaying widget").count() == 0
    assert book.errors == []
    checker = next(cell.source for cell in cells if cell.id == "exercise")
    reply = book.ask(SOLUTIONS[path.name[:2]] + re.sub(r"^.* = None.*# exercise.*\n", "", checker, flags=re.MULTILINE))
    assert reply["status"] == "ok", reply
