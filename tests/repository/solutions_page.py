"""The page of solutions beside the notebooks, made of those that the tests run.

`python tests/repository/solutions_page.py` writes it anew.
"""

import runpy
from collections.abc import Iterator
from pathlib import Path

import nbformat

ROOT = Path(__file__).parents[2]
NOTEBOOKS = ROOT / "notebooks"
PAGE = NOTEBOOKS / "solutions.md"
TOP = """# Solutions

One answer of several to each exercise that a checker judges; the tests run them. They stand in place of the lines that
say `None`. The hints stand under the exercises: try them first.
"""


def read_solutions() -> dict[str, str]:
    """Code by number of the notebook."""
    return runpy.run_path(str(ROOT / "tests" / "browser" / "solutions.py"))["SOLUTIONS"]


def sections() -> Iterator[str]:
    """A heading to link to, the notebook, and the lines that solve it."""
    for number, code in sorted(read_solutions().items()):
        for path in NOTEBOOKS.glob(f"{number}_*.ipynb"):
            title = nbformat.read(path, 4).cells[0].source.splitlines()[0].removeprefix("# ")
            yield f"## Notebook {number}\n\n[{title}]({path.name})\n\n```python\n{code.strip()}\n```\n"


def write_page() -> str:
    """The whole page."""
    return "\n".join([TOP, *sections()])


if __name__ == "__main__":
    PAGE.write_text(write_page())
