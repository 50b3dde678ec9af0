"""Tests: benchmarks.relatives. Where shapiq is not installed, what it says instead."""

import importlib.util
import json
import math
import warnings

import pytest

for library in ("captum", "shap", "torchcam", "zennit"):
    pytest.importorskip(library)
with warnings.catch_warnings():
    warnings.simplefilter("ignore")  # what the other libraries say on import is theirs
    from benchmarks import relatives

STORED = json.loads((relatives.FOLDER / "relatives.json").read_text())
THERE = importlib.util.find_spec("shapiq") is not None


def test_samples_at_equal_error_are_read_between_two_budgets():
    errors = {
        "xnb kernel_shap": [0.4, 0.2, 0.1],
        "as good": [0.4, 0.2, 0.1],
        "half": [0.8, 0.4, 0.2],
        "never": [9, 8, 7],
    }
    found = relatives.reach([50, 100, 200], errors)
    assert found["as good"] == pytest.approx(100)
    assert found["half"] == pytest.approx(200)
    assert found["never"] is None
    errors["steeper"] = [0.4, 0.1, 0.1]
    assert relatives.reach([50, 100, 200], errors)["steeper"] == pytest.approx(50 * math.sqrt(2))


@pytest.mark.skipif(THERE, reason="shapiq is installed")
def test_without_shapiq_it_says_what_to_do(capsys, tmp_path):
    assert relatives.main(["--output", str(tmp_path / "a.json")]) == 1
    rule, got, line = capsys.readouterr().err.splitlines()
    assert rule == "relatives: shapiq must be installed"
    assert got.startswith("  got: 'none on Python 3.")
    assert line == "  try: make bench-relatives PYTHON=python3.12"
    assert not list(tmp_path.iterdir())


@pytest.mark.skipif(not THERE, reason="shapiq needs Python 3.12")
@pytest.mark.filterwarnings("ignore")
@pytest.mark.usefixtures("as_users_run")
def test_beside_shapiq_at_the_size_of_a_toy(capsys, tmp_path):
    assert relatives.main(["--tiny", "--output", str(tmp_path / "a.json")]) == 0
    found = json.loads((tmp_path / "a.json").read_text())
    assert found["errors"].keys() == STORED["errors"].keys()
    assert all(few > 0 for few, _ in found["errors"].values())
    assert "| LeverageSHAP |" in capsys.readouterr().out


def test_the_page_shows_what_is_stored():
    page = (relatives.FOLDER / "README.md").read_text()
    assert relatives.table(STORED) in page
    assert f"shapiq {STORED['versions']['shapiq']}" in page


def test_the_page_names_the_versions_of_the_stored_run():
    page = (relatives.FOLDER / "README.md").read_text()
    runs = json.loads((relatives.FOLDER / "results.json").read_text())["runs"]
    conditions = runs["cpu"]["conditions"]
    peers = ("captum", "zennit", "grad-cam", "torchcam", "shap", "quantus")
    said = ", ".join(f"{name} {conditions['versions'][name]}" for name in peers)
    assert f"Python {conditions['python']}, torch {conditions['versions']['torch']}, {said}" in page
