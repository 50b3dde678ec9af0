"""What nbval cannot see: how many cells it really compared, and the numbers behind the figures.

conftest.py runs these tests right after the notebook that they are about, in the same process.
"""

import os
from pathlib import Path

import nbformat
import pytest
from nbval.plugin import IPyNbCell

from xnb.plot import figures

ROOT = Path(__file__).parents[2]
COMMITTED = ROOT / "figures"
NOTEBOOKS = sorted((ROOT / "notebooks").glob("*.ipynb"))


def figure_cells(path):
    """Ids of the notebook's cells that promise a figure."""
    cells = nbformat.read(path, as_version=4).cells
    return {cell.id for cell in cells if cell.cell_type == "code" and figures.FIGURE_ID.fullmatch(cell.id)}


PROMISED = set().union(*map(figure_cells, NOTEBOOKS))


def stems(folder):
    return {path.stem for path in folder.glob("fig-*.json")}


@pytest.fixture
def cells(request):
    """The notebook cells that this session ran."""
    cells = [item for item in request.session.items if isinstance(item, IPyNbCell)]
    if not cells:
        pytest.skip("no notebook is part of this session")
    return cells


def figures_of_this_session(path):
    """The folder in which the notebook's kernel saved its figures, see conftest.py."""
    return Path(os.environ["XNB_TEST_FIGURES"]) / path.stem


def test_most_cells_are_compared(cells, request):
    """nbval runs but does not compare a cell without execution count, or with a tag that says so."""
    compared = [
        item.cell
        for item in cells
        if item.options["check"] and not item.options["skip"] and item.cell.execution_count is not None
    ]
    speaking = sum(bool(cell.outputs) for cell in compared)
    share = len(compared) / len(cells)
    text = f"{len(compared)} of {len(cells)} code cells compared ({share:.1%}), {speaking} of them have an output"
    request.node.user_properties.append(("gate", text))  # printed in the summary, see conftest.py
    assert share >= 0.9, text


@pytest.mark.parametrize("id", sorted(PROMISED | stems(COMMITTED)))
def test_figure_is_as_committed(id, cells):
    stored = COMMITTED / f"{id}.json"
    assert stored.exists(), "not committed: make refresh, then git add figures"
    assert stored.with_suffix(".png").exists(), "the picture is not committed: make refresh, then git add figures"
    assert id in PROMISED, "no cell of that id makes it: git rm it"
    if not any(item.cell.get("id") == id for item in cells):
        pytest.skip("its notebook is not part of this session")
    [notebook] = [path for path in NOTEBOOKS if id in figure_cells(path)]
    fresh = figures_of_this_session(notebook) / f"{id}.json"
    assert fresh.exists(), "its cell ran and did not save it"
    assert figures.compare_figures(figures.read_figure(stored), figures.read_figure(fresh)) == []


@pytest.mark.parametrize("path", NOTEBOOKS, ids=lambda path: path.stem)
def test_no_other_figure_is_made(path):
    saved = stems(figures_of_this_session(path))
    assert saved - figure_cells(path) == set(), "a figure's id is the id of the cell that makes it"


@pytest.mark.parametrize("id", sorted(stems(COMMITTED / "paper")))
def test_paper_figure_is_whole(id):
    assert figures.read_figure(COMMITTED / "paper" / f"{id}.json")["data"]
    assert (COMMITTED / "paper" / f"{id}.png").exists()
    assert id in PROMISED
