"""Cells of the notebooks by file and id, what they put out, and the links to them that a page holds."""

import re
from functools import cache
from pathlib import Path

import nbformat
from nbformat import NotebookNode

ROOT = Path(__file__).parents[2]
DOCS = ROOT / "docs"
NOTEBOOKS = ROOT / "notebooks"
# A link to a cell, as pages in docs/ write it: the file, and the id of the cell in place of a heading.
CELL_LINK = re.compile(r"\]\(\.\./notebooks/(\w+\.ipynb)#([\w-]+)\)")

Place = tuple[str, str]  # file, id of the cell


@cache
def read_cells() -> dict[Place, NotebookNode]:
    """All cells, in the order of the notebooks."""
    books = {path.name: nbformat.read(path, 4) for path in sorted(NOTEBOOKS.glob("*.ipynb"))}
    return {(name, cell.id): cell for name, book in books.items() for cell in book.cells}


def link_cell(place: Place, text: str = "") -> str:
    """A link to a cell, by default with the number of the notebook and the id."""
    file, id = place
    return f"[{text or f'{file[:2]} {id}'}](../notebooks/{file}#{id})"


def find_places(text: str) -> list[Place]:
    """The cells that a text links to."""
    return [(file, id) for file, id in CELL_LINK.findall(text)]


def read_output(cell: NotebookNode) -> str:
    """What a cell has put out, as text."""
    outputs = cell.get("outputs", [])
    texts = [text for output in outputs for text in (output.get("text"), output.get("data", {}).get("text/plain"))]
    return "\n".join(text for text in texts if text)
