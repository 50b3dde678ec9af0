"""The reading order of the notebooks, from the table in README.md, and that of the Chinese pages, from their names.

Neighbours in that order are told apart by headings: each names the notebook that it stands above.
"""

import re
from collections.abc import Iterator
from itertools import groupby
from pathlib import Path
from typing import NamedTuple

from docutils import nodes
from sphinx.application import Sphinx
from sphinx.util.docutils import SphinxDirective

from extensions import describe_extension

ROW = re.compile(r"\| \[(\d\d_\w+)\]\(notebooks/\S+\) \| ([^|]+) \| ([^|]+) \|[^|]+\| ([^|]+) \|")
GROUPS = {
    "00": "Begin here",
    "04": "Attention and Transformers",
    "06": "Medicine",
    "07": "Measuring explanations",
    "09": "Claims, training, published tables",
    "11": "Your own model, other frameworks",
    "01": "Basics, at any time",
}
CHINESE = "docs/zh/index"


class Row(NamedTuple):
    """What the table says of one notebook."""

    group: str
    name: str
    question: str
    minutes: str
    level: str


def read_rows(text: str) -> Iterator[Row]:
    """Each row of the table in order."""
    group = ""
    for name, *facts in ROW.findall(text):
        group = GROUPS.get(name[:2], group)
        yield Row(group, name, *facts)


class ReadingOrder(SphinxDirective):
    """A list of the notebooks of each group, and their part of the table of contents."""

    def run(self) -> list[nodes.Node]:
        readme = Path(self.env.srcdir) / "README.md"
        self.env.note_dependency(str(readme))
        lines = []
        for group, rows in groupby(read_rows(readme.read_text()), key=lambda row: row.group):
            lines += write_group(group, list(rows))
        return self.parse_text_to_nodes("\n".join(lines))


def write_group(group: str, rows: list[Row]) -> list[str]:
    entries = [
        f"- {row.name[:2]} [{row.question}](../notebooks/{row.name}.ipynb) *{row.minutes}, {row.level}*" for row in rows
    ]
    pages = [f"../notebooks/{row.name}" for row in rows]
    return [f"**{group}**", "", *entries, "", "```{toctree}", f":caption: {group}", ":hidden:", "", *pages, "```", ""]


def list_chinese_pages(app: Sphinx, docname: str, source: list[str]) -> None:
    """Hang the other Chinese pages below their front page."""
    if docname == CHINESE:
        source[0] += "\n\n```{toctree}\n:hidden:\n:glob:\n\n*\n```\n"


def name_language(app: Sphinx, docname: str, template: str, context: dict, doctree: nodes.document | None) -> None:
    """Say of a Chinese page that it is one: browsers choose the forms of its characters by that."""
    if docname.startswith("docs/zh/") or docname.endswith(".zh-CN"):
        context["language"] = "zh-CN"


def setup(app: Sphinx) -> dict[str, bool | int]:
    app.add_directive("reading-order", ReadingOrder)
    app.connect("source-read", list_chinese_pages)
    app.connect("html-page-context", name_language)
    return describe_extension(__file__)
