"""The comparison of techniques: each row leads to the cell that measures it, and states no number of its own."""

import pytest
from claims_of_pages import list_numbers, list_unproven
from notebook_cells import DOCS, find_places

LINES = (DOCS / "techniques.md").read_text().splitlines()
ROWS = [line.strip("| ").split(" | ") for line in LINES if line.startswith("| ") and "---" not in line]
ROWS = [row for row in ROWS if row[0] != "claim or question"]
# What the article announces in its two sections, and what else it names as a way to interpretability.
ANNOUNCED = "TensorFlow PyTorch Attention Transformers CNN Flask Django FastAPI torchsummary torchinfo Hooks Debugging"


@pytest.mark.parametrize("row", ROWS, ids=lambda row: row[0])
def test_a_row_is_measured_where_it_says(row):
    question, verdict, linked = row
    assert find_places(linked), question
    assert list_numbers(verdict) or "Not measured" in verdict, "no number"
    assert list_unproven(verdict, linked) == []


def test_what_the_article_announces_is_compared():
    text = " ".join(LINES)
    assert [name for name in f"{ANNOUNCED} Visualisation".split() if name not in text] == []


@pytest.mark.parametrize(
    ("statement", "missing"),
    [
        ("It counts 24.", []),
        ("It counts 24, torchinfo 40, and `77` is code.", []),
        ("It counts 25.", ["25"]),
        ("REFUTED: it counts 24.", ["REFUTED"]),
    ],
)
def test_what_no_cell_has_put_out_is_found(statement, missing):
    link = "[01 check-count](../notebooks/01_parameter_summaries.ipynb#check-count)"
    assert list_unproven(statement, link) == missing
    assert (
        list_unproven(statement, link.replace("#check-count", "#nowhere"))[0] == "01_parameter_summaries.ipynb#nowhere"
    )
