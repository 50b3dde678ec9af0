"""How a notebook reads: short cells, at most 35 minutes, no number in its text that no cell put out, help at hand."""

import ast
import math
import re
import statistics
from pathlib import Path

import nbformat
import pytest
from nbformat.v4 import new_code_cell, new_markdown_cell, new_notebook, new_output

NOTEBOOKS = Path(__file__).parents[2] / "notebooks"
# Notebooks in this form, which is all; none may leave.
READABLE = tuple(sorted(path.name[:2] for path in NOTEBOOKS.glob("*.ipynb")))
FOLDED = re.compile(r"setup|versions|check(-.*)?|play-check|exercise-check|fig-.*")
TOLD = re.compile(r"summary|read-.*|takeaways")
LONGEST_READING = 35  # minutes
WORDS_A_MINUTE = 200
LINES_A_MINUTE = 15
NEAR = 3  # minutes by which a reading time may be off where it is written
# What is no claim: code, formulas, links, names of notebooks and figures, and the level of an interval.
NO_CLAIM = re.compile(
    r"`[^`]*`|\$\$.*?\$\$|\$[^$]*\$|\[[^\]]*\]\([^)]*\)|fig-\d\d-\d+|\b95 % intervals?|^\s*- \(\d\)|\(\d\)", re.S | re.M
)
NUMBER = re.compile(r"(?<![\w.])-?\d+(?:[.,]\d+)*(?: %)?")


def visible(book):
    return [
        cell for cell in book.cells if cell.cell_type == "code" and "hide-input" not in cell.metadata.get("tags", [])
    ]


def line_counts(book):
    return sorted(len(cell.source.strip().splitlines()) for cell in visible(book))


def visible_cells_are_short(book):
    """Half have at most 8 lines, nine of ten at most 15."""
    lines = line_counts(book)
    ninth = lines[math.ceil(0.9 * len(lines)) - 1]
    found = (statistics.median(lines), ninth)
    return [] if found[0] <= 8 and ninth <= 15 else [found]


def read_minutes(book):
    words = sum(len(cell.source.split()) for cell in book.cells if cell.cell_type == "markdown")
    return words / WORDS_A_MINUTE + sum(line_counts(book)) / LINES_A_MINUTE


def is_read_in_35_minutes(book):
    minutes = read_minutes(book)
    return [] if minutes <= LONGEST_READING else [minutes]


def checks_and_drawing_are_folded(book):
    return [cell.id for cell in visible(book) if FOLDED.fullmatch(cell.id)]


def begins_with_what_was_found(book):
    ids = [cell.id for cell in book.cells[:2]]
    return [] if ids == ["title", "summary"] else [ids]


def printed(book):
    """What the cells wrote: a number in the text must stand here."""
    texts = []
    for cell in book.cells:
        for output in cell.get("outputs", []):
            texts += [output.get("text", ""), output.get("data", {}).get("text/plain", "")]
    return "\n".join(texts)


def numbers_of(text):
    return {number.replace("−", "-") for number in NUMBER.findall(text.replace("−", "-"))}


def numbers_were_put_out(book):
    put_out = numbers_of(printed(book))
    told = [cell for cell in book.cells if cell.cell_type == "markdown" and TOLD.fullmatch(cell.id)]
    return [
        (cell.id, number)
        for cell in told
        for number in sorted(numbers_of(NO_CLAIM.sub(" ", cell.source)))
        if number not in put_out
    ]


def title_says_how_long_it_reads(book):
    """The table on top, to three minutes; the time of the machine stands apart from it."""
    stated = re.search(r"\| (\d+) minutes \|", book.cells[0].source)
    minutes = read_minutes(book)
    return [] if stated and abs(int(stated[1]) - minutes) <= NEAR else [f"write | {minutes:.0f} minutes | in its table"]


def exercises_lead_to_hints_and_solutions(book):
    number = book.cells[0].source[2:4]
    text = "".join(cell.source for cell in book.cells if cell.id == "exercises")
    link = f"[solutions](solutions.md#notebook-{number})"
    return [what for what in ("Hint", link) if what not in text]


def checkers_say_what_is_missing(book):
    """A checker by itself, and each of its asserts with a message."""
    checks = [ast.parse(cell.source) for cell in book.cells if cell.id == "exercise-check"]
    asserts = [node for tree in checks for node in ast.walk(tree) if isinstance(node, ast.Assert)]
    return [ast.unparse(node) for node in asserts if node.msg is None] or ([] if asserts else ["no exercise-check"])


RULES = [
    visible_cells_are_short,
    is_read_in_35_minutes,
    checks_and_drawing_are_folded,
    begins_with_what_was_found,
    numbers_were_put_out,
    title_says_how_long_it_reads,
    exercises_lead_to_hints_and_solutions,
    checkers_say_what_is_missing,
]


def good():
    folded = {"tags": ["hide-input"]}
    return new_notebook(
        cells=[
            new_markdown_cell("# 00 · Why?\n\n| reading |\n|---|\n| 1 minutes |", id="title"),
            new_markdown_cell("The object has 86 %.", id="summary"),
            new_code_cell("x = 1", id="maps"),
            new_code_cell(
                "print(x)", id="check-1", metadata=folded, outputs=[new_output("stream", text="edges 86 %, r -0.5")]
            ),
            new_markdown_cell("- (1) holds: 86 %, not `7`, $8$ or [9](10); r is −0.5.", id="read-1"),
            new_markdown_cell("Hint: add. See the [solutions](solutions.md#notebook-00).", id="exercises"),
            new_code_cell("assert x == 1, 'add'", id="exercise-check", metadata=folded),
        ]
    )


def tell(text):
    return lambda book: book.cells[4].update(source=text)


BROKEN = [
    (visible_cells_are_short, lambda book: book.cells[2].update(source="x = 1\n" * 9)),
    (visible_cells_are_short, lambda book: book.cells.extend(new_code_cell("x = 1\n" * 16) for _ in range(2))),
    (is_read_in_35_minutes, tell("word " * 7200)),
    (is_read_in_35_minutes, lambda book: book.cells[2].update(source="x = 1\n" * 600)),
    (checks_and_drawing_are_folded, lambda book: book.cells[3].update(metadata={})),
    (begins_with_what_was_found, lambda book: book.cells.pop(1)),
    (numbers_were_put_out, tell("The object has 87 %.")),
    (numbers_were_put_out, tell("The object has 86 points.")),
    (numbers_were_put_out, tell("r is 0.5.")),
    (numbers_were_put_out, lambda book: book.cells[1].update(source="Of 12 pictures.")),
    (title_says_how_long_it_reads, lambda book: book.cells[0].update(source="# 00\n\n| 9 minutes |")),
    (title_says_how_long_it_reads, lambda book: book.cells[0].update(source="# 00\n\n| 1 min |")),
    (exercises_lead_to_hints_and_solutions, lambda book: book.cells[5].update(source="Hint: add.")),
    (exercises_lead_to_hints_and_solutions, lambda book: book.cells[0].update(source="# 01 · Why?")),
    (exercises_lead_to_hints_and_solutions, lambda book: book.cells[5].update(source=book.cells[5].source[10:])),
    (checkers_say_what_is_missing, lambda book: book.cells[6].update(source="assert x == 1")),
    (checkers_say_what_is_missing, lambda book: book.cells.pop(6)),
]


@pytest.mark.parametrize("rule", RULES, ids=lambda rule: rule.__name__)
@pytest.mark.parametrize("number", READABLE)
def test_notebook_reads_well(number, rule):
    [path] = NOTEBOOKS.glob(f"{number}_*.ipynb")
    assert rule(nbformat.read(path, as_version=4)) == []


@pytest.mark.parametrize("rule", RULES, ids=lambda rule: rule.__name__)
def test_a_good_notebook_keeps_the_rule(rule):
    assert rule(good()) == []


@pytest.mark.parametrize(("rule", "harm"), BROKEN)
def test_the_rule_catches(rule, harm):
    book = good()
    harm(book)
    assert rule(book) != []
