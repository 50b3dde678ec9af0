"""The glossary: words of docs/glossary.toml in a table, each with the cell that explains it.

`python tests/repository/glossary_page.py` writes docs/glossary.md anew.
"""

import tomllib

from notebook_cells import DOCS, Place, link_cell

PAGE = DOCS / "glossary.md"
TOP = """<!-- Made by tests/repository/glossary_page.py of docs/glossary.toml: edit that. -->

# Glossary

The words that the notebooks use, each with the cell that explains it or shows it at work.

| term | meaning | 中文 | explained in |
|---|---|---|---|
"""


def read_terms() -> list[dict]:
    """The words, in the order of the file."""
    return tomllib.loads((DOCS / "glossary.toml").read_text())["term"]


def find_place(term: dict) -> Place:
    """The cell that explains a word."""
    file, id = term["cell"].split("#")
    return file, id


def write_page() -> str:
    """The whole page."""
    rows = [f"| {t['term']} | {t['means']} | {t['zh']} | {link_cell(find_place(t))} |\n" for t in read_terms()]
    return TOP + "".join(rows)


if __name__ == "__main__":
    PAGE.write_text(write_page())
