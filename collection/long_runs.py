"""Which notebooks have a longer version, the profile "paper", and the data that it takes.

`long_runs.json` has the data by number: the name of a data set, or a folder below data/cache/ whose files are no part
of this collection; a notebook that is not in it takes what it makes itself.
"""

import ast
import json
from pathlib import Path

from IPython.core.inputtransformer2 import TransformerManager
from nbformat import NotebookNode

from xnb.folders import cache_folder


def has_long_run(notebook: NotebookNode) -> bool:
    """Whether the code reads PROFILE for more than to hand it on to `savefig`."""
    sources = [cell.source for cell in notebook.cells if cell.cell_type == "code"]
    return any(_reads_profile(TransformerManager().transform_cell(source)) for source in sources)


def _reads_profile(program: str) -> bool:
    nodes = list(ast.walk(ast.parse(program)))
    handed_on = [node.value for node in nodes if isinstance(node, ast.keyword) and node.arg == "profile"]
    reads = [node for node in nodes if isinstance(node, ast.Name) and node.id == "PROFILE"]
    return any(isinstance(node.ctx, ast.Load) and node not in handed_on for node in reads)


def choose_dataset(root: Path, number: str) -> str | None:
    """What DATASET is in the longer version of the notebook of that number; None where it stays the notebook's own."""
    entry = _read_table(root).get(number, {})
    if "folder" not in entry:
        return entry.get("dataset")
    folder = cache_folder() / entry["folder"]
    return str(folder.resolve()) if folder.is_dir() else None


def find_obstacle(root: Path, path: Path, notebook: NotebookNode, dataset: str | None) -> str:
    """Why the notebook's longer version cannot run, on that dataset or the one that it takes; empty if it can."""
    if not has_long_run(notebook):
        return f"{path.stem} has no longer version"
    entry = _read_table(root).get(path.name[:2], {})
    is_there = "folder" not in entry or (cache_folder() / entry["folder"]).is_dir()
    if dataset or is_there or entry.get("optional"):
        return ""
    return f"{path.stem} needs files in data/cache/{entry['folder']}/, or DATASET=folder, see data/README.md"


def _read_table(root: Path) -> dict[str, dict]:
    path = root / "collection" / "long_runs.json"
    return json.loads(path.read_text()) if path.exists() else {}
