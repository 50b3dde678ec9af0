"""The map of the founding article: its parts from docs/article.toml, the cells that answer from their metadata.

`python tests/repository/article_page.py` writes docs/article_map.md anew.
"""

import tomllib
from collections import defaultdict
from pathlib import Path

from notebook_cells import DOCS, Place, link_cell, read_cells

PAGE = DOCS / "article_map.md"
KINDS = {
    "section": "Sections",
    "listing": "Listings",
    "figure": "Promised figures",
    "defect": "Defects of the listings",
}
TOP = """<!-- Made by tests/repository/article_page.py of docs/article.toml and the metadata of cells: edit those. -->

# Article map

This collection began with a blog article in Chinese, "PyTorch deep learning: how to build machine-learning models of
high interpretability". Its listings do not run, and none of its figures is shown. Here is each section, listing and
promised figure of it, with what is wrong there and the cells that answer.

Section numbers are the article's own: 2.1 to 2.3 come twice, and 4 repeats 3. {count}
"""
HEAD = "| in the article | what is wrong | here instead | cells | figures |\n|---|---|---|---|---|"


def read_parts() -> dict[str, dict]:
    """The parts of the article by id."""
    return tomllib.loads((DOCS / "article.toml").read_text())


def find_answers() -> dict[str, list[Place]]:
    """The cells that say they answer a part, by its id."""
    answers = defaultdict(list)
    for place, cell in read_cells().items():
        for part in cell.metadata.get("article", []):
            answers[part].append(place)
    return dict(answers)


def join_words(place: Place) -> str:
    """The number of the notebook and the id, which stay on one line of a narrow column."""
    return f"{place[0][:2]}\N{NO-BREAK SPACE}{place[1]}"


def read_title(page: str) -> str:
    """The heading of a page, or the name of another file."""
    first, path = (DOCS / page).read_text().splitlines()[0], Path(page)
    return first.removeprefix("# ") if path.suffix == ".md" else path.name


def write_row(part: dict, places: list[Place]) -> str:
    """One line of a table."""
    figures = [link_cell(place, place[1]) for place in places if place[1].startswith("fig-")]
    cells = [link_cell(place, join_words(place)) for place in places if not place[1].startswith("fig-")]
    cells += [f"[{read_title(page)}]({page})" for page in part.get("pages", [])]
    fields = [
        f"**{part['name']}** {part['says']}",
        part["wrong"],
        f"*{part['status'].capitalize()}.* {part['here']}",
        ", ".join(cells) or "–",
        ", ".join(figures) or "–",
    ]
    return f"| {' | '.join(fields)} |"


def write_page() -> str:
    """The whole page: a table for each kind of part."""
    parts, answers = read_parts(), find_answers()
    states = [part["status"] for part in parts.values()]
    count = f"All {len(parts)} parts are answered."
    if "partly" in states:
        whole = states.count("answered")
        count = f"Of {len(parts)} parts {whole} are answered, the others partly: the row says what is missing."
    text = [TOP.format(count=count)]
    for kind, heading in KINDS.items():
        rows = [write_row(part, answers.get(id, [])) for id, part in parts.items() if part["kind"] == kind]
        text.append("\n".join([f"## {heading}\n", HEAD, *rows, ""]))
    return "\n".join(text)


if __name__ == "__main__":
    PAGE.write_text(write_page())
