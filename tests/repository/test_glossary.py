"""Each word of the glossary is explained in a cell that uses it."""

import pytest
from glossary_page import PAGE, find_place, read_terms, write_page
from notebook_cells import read_cells, read_output

TERMS = read_terms()


def test_the_page_is_made_of_its_source():
    assert PAGE.read_text() == write_page(), "python tests/repository/glossary_page.py writes it anew"


def test_words_stand_once_and_in_order():
    words = [term["term"].lower() for term in TERMS]
    assert len(words) >= 60
    assert words == sorted(set(words))


@pytest.mark.parametrize("term", TERMS, ids=lambda term: term["term"])
def test_the_word_stands_in_its_cell(term):
    cell = read_cells()[find_place(term)]
    text = f"{cell.source}\n{read_output(cell)}".lower()
    assert any(form.lower() in text for form in [term["term"], *term.get("forms", [])])


@pytest.mark.parametrize("term", TERMS, ids=lambda term: term["term"])
def test_a_word_has_one_sentence_and_a_translation(term):
    assert term["means"].endswith(".")
    assert ". " not in term["means"]
    assert any("一" <= letter <= "龥" for letter in term["zh"])
