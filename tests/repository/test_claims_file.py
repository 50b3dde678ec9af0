"""Claims and their bars: each is judged in the notebook that its name says, and the sentence is quoted there."""

import re
from pathlib import Path

import nbformat
import pytest

from xnb.comparison import Verdict, read_claims

NOTEBOOKS = Path(__file__).parents[2] / "notebooks"
FILE = NOTEBOOKS / "claims.toml"
CLAIMS = read_claims(FILE)
NAME = re.compile(r"claim-(\d\d)-[a-z0-9-]+")


def read_notebook(name):
    [path] = NOTEBOOKS.glob(f"{NAME.fullmatch(name)[1]}_*.ipynb")
    return nbformat.read(path, as_version=4)


def printed(book):
    texts = [output.get("text", "") for cell in book.cells for output in cell.get("outputs", [])]
    return "\n".join(texts)


def is_waiting(name):
    """Whether its notebook is still to come: bars are written, and stored, before anything runs."""
    present = {int(path.name[:2]) for path in NOTEBOOKS.glob("*.ipynb")}
    return int(NAME.fullmatch(name)[1]) not in present


@pytest.mark.parametrize("name", CLAIMS)
def test_a_claim_is_judged_where_its_name_says(name):
    if is_waiting(name):
        pytest.skip("its notebook is to come")
    lines = [line for line in printed(read_notebook(name)).splitlines() if name in line]
    assert any(str(verdict) in line for line in lines for verdict in Verdict), f"no line of a verdict on {name}"


@pytest.mark.parametrize("name", CLAIMS)
def test_a_claim_says_where_it_comes_from(name):
    claim = CLAIMS[name]
    assert min(map(len, (claim.sentence, claim.source, *(bar.why for bar in claim.bars)))) > 10
    assert claim.setup  # "none" and "nothing" are answers, an empty string is none
    assert claim.differs
