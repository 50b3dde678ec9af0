"""The article map is complete: every part of the founding article stands in it, and a cell answers each."""

import re
from collections import Counter

import pytest
from article_page import KINDS, PAGE, find_answers, read_parts, write_page
from notebook_cells import DOCS, ROOT, find_places, read_cells

PARTS = read_parts()
ANSWERS = find_answers()
RETOLD = ROOT.parent / "shared" / "references" / "article.md"  # beside some checkouts: the article, section by section
# The article's own headings, of which three numbers come twice.
SECTIONS = "1.1 1.2 2.1 2.2 2.3 2.1 2.2 2.3 3.1 3.2 3.3 4.1 4.2".split()
WANTED = {
    "listing": {f"listing-{n}" for n in range(1, 5)},
    "figure": {f"figure-{name}" for name in "summary structure loss-accuracy json grid comparison".split()},
    "defect": {f"defect-{n}" for n in range(1, 9)}
    | {f"listing-1-{name}" for name in "output-dict list bare-layer unmaintained".split()},
}


def section_numbers(names):
    return Counter(number for name in names for number in re.findall(r"\b\d\.\d\b", name))


def test_the_page_is_made_of_its_sources():
    assert PAGE.read_text() == write_page(), "python tests/repository/article_page.py writes it anew"


def test_no_part_is_missing():
    names = [part["name"] for part in PARTS.values() if part["kind"] == "section"]
    assert section_numbers(names) == Counter(SECTIONS)
    for kind, ids in WANTED.items():
        assert ids <= {id for id, part in PARTS.items() if part["kind"] == kind}, kind


@pytest.mark.skipif(not RETOLD.exists(), reason="the article is not beside this checkout")
def test_the_sections_are_those_of_the_article():
    rows = re.findall(r"^\| (\d[^|]*) \|", RETOLD.read_text(), re.M)
    assert section_numbers(rows) == Counter(SECTIONS)


@pytest.mark.parametrize("id", PARTS)
def test_a_cell_answers(id):
    assert id in ANSWERS, f'write "article": ["{id}"] into the metadata of the cell that answers {PARTS[id]["name"]}'
    cells = [read_cells()[place] for place in ANSWERS[id]]
    assert any(cell.cell_type == "code" for cell in cells), "words alone are no answer"


def test_cells_name_parts_that_there_are():
    assert ANSWERS.keys() <= PARTS.keys()


@pytest.mark.parametrize("id", PARTS)
def test_a_part_says_what_it_owes(id):
    part = PARTS[id]
    assert part.keys() - {"pages"} == {"kind", "name", "says", "wrong", "here", "status"}
    assert part["kind"] in KINDS
    assert part["status"] in {"answered", "partly"}
    if part["status"] == "partly":
        assert re.search(r"\b(not|only)\b", part["here"]), "partly: what is missing?"
    for page in part.get("pages", []):
        assert (DOCS / page).exists(), page


def test_links_of_the_page_lead_to_cells():
    places = find_places(PAGE.read_text())
    assert set(places) == {place for answers in ANSWERS.values() for place in answers}
    assert set(places) <= read_cells().keys()
