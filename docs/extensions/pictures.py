"""Words for the pictures of notebooks, for readers who cannot see them: the name of a file would say nothing.

A widget says itself what it shows. Below a figure it is read, in the words that begin with **Read.**; of any other
picture the section is named.
"""

import json
import re

from sphinx.application import Sphinx

from extensions import describe_extension
from extensions.cells import is_notebook

READ = "**Read.**"
HEADING = re.compile(r"^#+ (.+)$", re.MULTILINE)
MARKS = re.compile(r"\]\([^)]*\)|[][*`$]")  # of Markdown
LONGEST = 400  # letters: some sentences; the rest stands below the picture


def describe_pictures(app: Sphinx, docname: str, source: list[str]) -> None:
    """Write into the metadata of each cell with a picture what is to be heard instead of it."""
    if not is_notebook(app, docname):
        return
    book = json.loads(source[0])
    section = ""
    for cell, following in zip(book["cells"], [*book["cells"][1:], None], strict=True):
        if cell["cell_type"] == "markdown":
            section = (HEADING.findall("".join(cell["source"])) or [section])[-1]
        elif own := find_own_words(cell):
            words = own if not own.startswith("<") else read_below(following) or section
            name = cell["id"].replace("fig-", "Figure ") if cell["id"].startswith("fig-") else "Picture"
            options = {"alt": f"{name}: {shorten(words)}"}
            cell["metadata"] = cell["metadata"] | {"mystnb": {"image": options}}
    source[0] = json.dumps(book)


def find_own_words(cell: dict) -> str:
    """What stands in place of a cell's picture where there are no pictures; nothing where the cell has none."""
    outputs = [output["data"] for output in cell["outputs"] if "image/png" in output.get("data", {})]
    return "".join("".join(data.get("text/plain", "<")) for data in outputs[:1])


def read_below(cell: dict | None) -> str:
    """What the first lines behind **Read.** say, if the next cell begins so."""
    text = "".join(cell["source"]) if cell else ""
    return text.removeprefix(READ).split("\n\n")[0] if text.startswith(READ) else ""


def shorten(text: str) -> str:
    """Text without marks of Markdown, up to the last sentence that ends in time."""
    plain = " ".join(MARKS.sub("", text).split())
    if len(plain) <= LONGEST:
        return plain
    end = plain.rfind(". ", 0, LONGEST)
    return plain[: end + 1] if end > 0 else f"{plain[:LONGEST]} …"


def setup(app: Sphinx) -> dict[str, bool | int]:
    app.connect("source-read", describe_pictures, priority=400)  # before cells are marked
    return describe_extension(__file__)
