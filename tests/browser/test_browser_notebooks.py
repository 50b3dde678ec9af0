"""Every committed notebook, opened in JupyterLab and run to its end. Minutes: `-m "not slow"` leaves it out.

The gate then compares the outputs of this very run with the stored ones (conftest.py at the root), as running all
notebooks twice is a third of the time of all tests. Where no browser is, nbval runs them itself.
"""

import os
import re
from pathlib import Path

import nbformat
import pytest
from recording import RecordedKernel, listen
from solutions import SOLUTIONS

NOTEBOOKS = sorted((Path(__file__).parents[2] / "notebooks").glob("*.ipynb"))
LONGEST = 3600  # seconds for a notebook: generous, as nothing here measures time


@pytest.mark.slow
@pytest.mark.timeout(2 * LONGEST)
@pytest.mark.parametrize("path", NOTEBOOKS, ids=lambda path: path.stem)
def test_runs_to_its_end_without_an_error_and_its_exercises_can_be_solved(path, opened_once, home, request):
    book, cells = opened_once(path.stem), nbformat.read(path, 4).cells
    book.idle()
    figures = Path(os.environ["XNB_TEST_FIGURES"]) / path.stem
    book.ask_silently(f"__import__('os').environ['XNB_FIGURES'] = {str(figures)!r}")
    connection = Path(home["JUPYTER_RUNTIME_DIR"]) / f"kernel-{book.kernel_id()}.json"
    with listen(connection, wake=lambda: book.ask_silently("")) as catch_up:
        book.run_all(timeout=1000 * LONGEST)
        request.config.recorded[path.stem] = RecordedKernel(catch_up())
    expected = [cell for cell in cells if "raises-exception" in cell.metadata.get("tags", [])]
    assert len(book.tracebacks()) <= len(expected), book.tracebacks()
    assert book.finished()
    assert book.stderr() == []
    assert book.page.get_by_text("Error displaying widget").count() == 0
    assert book.errors == []
    checker = "\n".join(cell.source for cell in cells if cell.id in ("exercise", "exercise-check"))
    reply = book.ask(SOLUTIONS[path.name[:2]] + re.sub(r"^.* = None.*# exercise.*\n", "", checker, flags=re.MULTILINE))
    assert reply["status"] == "ok", reply
