"""Nothing measures and nothing is drawn that no notebook shows: metrics and data sets by name."""

import re
from pathlib import Path

import nbformat
import pytest

from xnb import data
from xnb.metrics import METRICS

NOTEBOOKS = Path(__file__).parents[2] / "notebooks"
# Types are no data. Medical pictures are a download that people start themselves: no committed notebook asks for it.
DATA_SETS = sorted(set(data.__all__) - {"Part", "Split", "Streamed", "medmnist"})


def read_code():
    books = [nbformat.read(path, 4) for path in sorted(NOTEBOOKS.glob("*.ipynb"))]
    return "\n".join(cell.source for book in books for cell in book.cells if cell.cell_type == "code")


CODE = read_code()


def is_named(name, code):
    return re.search(rf"\b{name}\b", code) is not None


@pytest.mark.parametrize("name", METRICS)
def test_each_metric_is_computed_in_some_notebook(name):
    assert is_named(name, CODE), f"name {name} in the code of a notebook"


@pytest.mark.parametrize("name", DATA_SETS)
def test_each_data_set_is_used_in_some_notebook(name):
    assert is_named(f"data.{name}", CODE), f"use data.{name} in a notebook"


def test_a_part_of_a_name_is_no_name():
    assert is_named("mprt", "METRICS['mprt']")
    assert not is_named("mprt", "smooth_mprt(net)")
