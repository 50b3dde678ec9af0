"""Notebook pages: every cell is an anchor of its id, and each page says how to run it.

A link `[text](../notebooks/09_ten_claims.ipynb#check-3)` lands on that cell.
"""

import json
from pathlib import PurePosixPath

from docutils import nodes
from sphinx.application import Sphinx
from sphinx.transforms import SphinxTransform

from extensions import describe_extension

MARK = "cell-id:"  # in a comment before each Markdown cell, as these leave no trace of their own in a page
RUN = """\
```{{admonition}} Run it yourself
:class: tip

In a copy of the repository, `make lab` opens JupyterLab; the file is {{download}}`notebooks/{name} <{name}>`.
```
"""


def is_notebook(app: Sphinx, docname: str) -> bool:
    """Whether a page is made of a notebook."""
    return str(app.env.doc2path(docname)).endswith(".ipynb")


def mark_cells(app: Sphinx, docname: str, source: list[str]) -> None:
    """Write each cell's id where it survives reading, and the note on running behind the title."""
    if not is_notebook(app, docname):
        return
    book = json.loads(source[0])
    for cell in book["cells"]:
        text = "".join(cell["source"])
        if cell["cell_type"] == "markdown":
            cell["source"] = f"% {MARK}{cell['id']}\n\n{text}"
        else:
            cell["metadata"]["id"] = cell["id"]
    note = RUN.format(name=PurePosixPath(app.env.doc2path(docname)).name)
    book["cells"].insert(1, {"cell_type": "markdown", "id": "run-it", "metadata": {}, "source": note})
    source[0] = json.dumps(book)


class AnchorCells(SphinxTransform):
    """Put the ids of cells on the nodes that they became, and make them known to links from other pages."""

    default_priority = 400

    def apply(self) -> None:
        if not is_notebook(self.app, self.env.docname):
            return
        places = dict(self.find_cells())
        for node in self.document.findall(nodes.Element):
            node["ids"] = [id for id in node["ids"] if id not in places]  # a heading may bear the id of a cell
        slugs = self.env.metadata[self.env.docname].setdefault("myst_slugs", {})
        for id, node in places.items():
            node["ids"].append(id)
            slugs[id] = (None, id, id)

    def find_cells(self):
        """Each cell's id with its first node."""
        for node in list(self.document.findall()):
            if isinstance(node, nodes.comment) and node.astext().startswith(MARK):
                yield node.astext().removeprefix(MARK), node.next_node(nodes.Element, descend=False, ascend=True)
                node.parent.remove(node)
            elif isinstance(node, nodes.container) and node.get("nb_element") == "cell_code":
                yield node["cell_metadata"]["id"], node


def setup(app: Sphinx) -> dict[str, bool | int]:
    app.connect("source-read", mark_cells)
    app.add_transform(AnchorCells)
    return describe_extension(__file__)
