"""Every committed notebook, opened in JupyterLab and run to its end. Minutes: `-m "not slow"` leaves it out."""

import nbformat
import pytest
from driver import FINISHED

from conftest import ROOT

NOTEBOOKS = sorted((ROOT / "notebooks").glob("*.ipynb"))


@pytest.mark.slow
@pytest.mark.timeout(900)
@pytest.mark.parametrize("path", NOTEBOOKS, ids=lambda path: path.stem)
def test_runs_to_its_end_without_an_error(path, opened_once):
    book = opened_once(path.stem)
    book.idle()
    book.page.evaluate("window.jupyterapp.commands.execute('notebook:run-all-cells'); null")
    book.page.wait_for_function(FINISHED, timeout=600_000)
    expected = [cell for cell in nbformat.read(path, 4).cells if "raises-exception" in cell.metadata.get("tags", [])]
    assert len(book.tracebacks()) <= len(expected), book.tracebacks()
    assert book.stderr() == []
    assert book.page.get_by_text("Error displaying widget").count() == 0
    assert book.errors == []
