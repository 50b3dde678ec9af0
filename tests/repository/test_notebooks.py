"""What nbval cannot see: how many cells it really compared, and the numbers behind the figures. Runs last."""

import os
from pathlib import Path

import nbformat
import pytest
from nbval.plugin import IPyNbCell

from xnb.plot import figures

ROOT = Path(__file__).parents[2]
COMMITTED = ROOT / "figures"
NOTEBOOKS = sorted((ROOT / "notebooks").glob("*.ipynb"))
PROMISED = {
    cell.id
    for path in NOTEBOOKS
    for cell in nbformat.read(path, as_version=4).cells
    if cell.cell_type == "code" and figures.FIGURE_ID.fullmatch(cell.id)
}


def stems(folder):
    return {path.stem for path in folder.glob("*.json")}


@pytest.fixture
def cells(request):
    """The notebook cells that this session ran."""
    cells = [item for item in request.session.items if isinstance(item, IPyNbCell)]
    if not cells:
        pytest.skip("no notebook is part of this session")
    return cells


@pytest.fixture
def fresh():
    return Path(os.environ["XNB_FIGURES"])


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
def test_figure_is_as_committed(id, cells, fresh):
    assert (COMMITTED / f"{id}.json").exists(), "not committed: make refresh, then git add figures"
    assert (COMMITTED / f"{id}.png").exists(), "the picture is not committed: make refresh, then git add figures"
    assert id in PROMISED, "no cell of that id makes it: git rm it"
    if not any(item.cell.get("id") == id for item in cells):
        pytest.skip("its notebook is not part of this session")
    assert (fresh / f"{id}.json").exists(), "its cell ran and did not save it"
    assert figures.compare_figures(figures.read_figure(COMMITTED / f"{id}.json"), figures.read_figure(fresh / f"{id}.json")) == []


def test_no_other_figure_is_made(cells, fresh):
    assert stems(fresh) - PROMISED == set(), "a figure's id is the id of the cell that makes it"


@pytest.mark.parametrize("id", sorted(stems(COMMITTED / "paper")))
def test_paper_figure_is_whole(id):
    assert figures.read_figure(COMMITTED / "paper" / f"{id}.json")["data"]
    assert (COMMITTED / "paper" / f"{id}.png").exists()
    assert id in PROMISED
