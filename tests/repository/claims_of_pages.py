"""What a page of docs/ states in numbers and verdicts, beside what the cells that it links to have put out."""

import re

from notebook_cells import find_places, read_cells, read_output
from test_reading import NO_CLAIM, numbers_of

VERDICT = re.compile(r"\b(?:NOT REFUTED|REFUTED|SUPPORTED|OPEN|THEOREM)\b")


def list_numbers(text: str) -> set[str]:
    """Numbers as a text states them, signs as in the outputs."""
    return numbers_of(NO_CLAIM.sub(" ", text))


def list_unproven(statement: str, linked: str) -> list[str]:
    """Numbers and verdict words of a statement that no linked cell has put out, and links that lead nowhere."""
    places = find_places(linked)
    lost = [f"{file}#{id}" for file, id in places if (file, id) not in read_cells()]
    output = "\n".join(read_output(read_cells()[place]) for place in places if place in read_cells())
    words = set(VERDICT.findall(NO_CLAIM.sub(" ", statement))) - set(VERDICT.findall(output))
    return lost + sorted(list_numbers(statement) - numbers_of(output)) + sorted(words)
