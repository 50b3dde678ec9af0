"""A figure's id is what people cite: it names one figure for good."""

from pathlib import Path

import nbformat
import pytest

NOTEBOOKS = sorted((Path(__file__).parents[2] / "notebooks").glob("*.ipynb"))
# By the number of a notebook that of another from which it was split off: figures that moved keep their ids.
SPLIT_OFF = {"14": "03", "15": "04", "16": "05", "17": "09", "20": "08", "18": "06", "21": "07"}


def figure_ids(path):
    cells = nbformat.read(path, as_version=4).cells
    return [cell.id for cell in cells if cell.id.startswith("fig-")]


@pytest.mark.parametrize("path", NOTEBOOKS, ids=lambda path: path.stem)
def test_figures_bear_the_number_of_their_notebook(path):
    number = path.name[:2]
    # A figure that was cited stays where its id finds it, also when half of its notebook moves.
    numbers = {number, SPLIT_OFF.get(number, number)}
    assert {id[4:6] for id in figure_ids(path)} <= numbers


def test_a_figure_stands_in_one_notebook():
    ids = [id for path in NOTEBOOKS for id in figure_ids(path)]
    assert len(set(ids)) == len(ids)
