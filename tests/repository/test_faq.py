"""Every answer of the FAQ leads to a cell that shows it, or says that none does and names a test."""

import ast
import re

import pytest
from claims_of_pages import VERDICT, list_numbers, list_unproven
from notebook_cells import DOCS, find_places, read_cells, read_output

TEXT = (DOCS / "faq.md").read_text()
ANSWERS = dict(re.findall(r"^## (.*)\n\n((?:.+\n?)+)", TEXT, re.M))
TEST_LINK = re.compile(r"\[`(test_\w+)`\]\((\S+\.py)\)")
UNMEASURED = re.compile(r"\bNo notebook measures\b")


def shows(place, stated):
    """Whether a cell is more than words: it asserts, gives a verdict, or prints a number of the answer."""
    cell = read_cells()[place]
    output = read_output(cell)
    asserts = cell.cell_type == "code" and re.search(r"\bassert", cell.source)
    return bool(asserts or VERDICT.search(output) or stated & list_numbers(output))


def names_a_test(name, path):
    tree = ast.parse((DOCS / path).read_text())
    return any(isinstance(node, ast.FunctionDef) and node.name == name for node in ast.walk(tree))


def test_there_are_twenty_questions_or_more():
    assert len(ANSWERS) >= 20
    assert len(ANSWERS) == TEXT.count("\n## ")
    assert all(question.endswith("?") for question in ANSWERS)


@pytest.mark.parametrize("question", ANSWERS)
def test_an_answer_is_short(question):
    answer = ANSWERS[question]
    assert 2 <= len(answer.splitlines()) <= 6
    assert len(re.sub(r"\]\([^)]*\)", "]", answer).split()) <= 160


@pytest.mark.parametrize("question", ANSWERS)
def test_an_answer_is_shown_by_a_cell_or_held_by_a_test(question):
    answer = ANSWERS[question]
    assert list_unproven(answer, answer) == []
    if UNMEASURED.search(answer):
        assert TEST_LINK.search(answer), "name the test that holds it"
    else:
        assert any(shows(place, list_numbers(answer)) for place in find_places(answer))


@pytest.mark.parametrize(("name", "path"), TEST_LINK.findall(TEXT))
def test_tests_that_are_named_exist(name, path):
    assert names_a_test(name, path)


def test_other_pages_that_are_linked_exist():
    pages = re.findall(r"\]\(((?:\.\./)?[\w/.-]+\.md)\)", TEXT)
    assert pages
    assert [page for page in pages if not (DOCS / page).exists()] == []


def test_a_cell_of_words_shows_nothing():
    assert not shows(("00_setup.ipynb", "takeaways"), {"86 %"})
    assert shows(("00_setup.ipynb", "check-3"), set())
