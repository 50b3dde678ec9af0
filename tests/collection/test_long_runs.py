"""Tests: collection.long_runs."""

import json

import pytest
from nbformat.v4 import new_code_cell, new_notebook

from collection import jobs
from collection.kernel import assigned_names
from collection.long_runs import has_long_run

TREE = jobs.Tree()
BOOKS = {path.name[:2]: jobs.read_notebook(path) for path in jobs.choose_notebooks(TREE.notebooks, None)}
LONG = {number: book for number, book in BOOKS.items() if has_long_run(book)}
TABLE = json.loads((TREE.root / "collection" / "long_runs.json").read_text())


@pytest.mark.parametrize(
    ("source", "expected"),
    [
        ("if PROFILE == 'paper':\n    x = 1", True),
        ("x = {'quick': 1, 'paper': 2}[PROFILE]", True),
        ("savefig(fig, 'fig-00-1', {}, profile=PROFILE)", False),
        ("savefig(fig, 'fig-00-1', {}, profile=PROFILE); x = PROFILE", True),
        ("PROFILE = 'quick'", False),
        ("%xmode Minimal", False),
    ],
)
def test_a_notebook_has_a_longer_version_if_its_code_depends_on_the_profile(source, expected):
    assert has_long_run(new_notebook(cells=[new_code_cell(source)])) is expected


def parameters(book):
    [source] = [cell.source for cell in book.cells if "parameters" in cell.metadata.get("tags", [])]
    return source


def test_the_notebooks_say_of_themselves_whether_they_have_one():
    says_none = {number for number, book in BOOKS.items() if "no longer version" in parameters(book)}
    assert LONG.keys() & says_none == set()


def test_a_longer_version_on_other_data_is_listed_with_them():
    takes_data = {number for number, book in LONG.items() if "DATASET" in assigned_names(parameters(book))}
    assert TABLE.keys() == takes_data
    for number, entry in TABLE.items():
        assert "dataset" in entry or "folder" in entry
        assert entry.get("dataset", "") in parameters(BOOKS[number])


def test_one_command_runs_every_longer_version_on_its_own_data(project, monkeypatch):
    monkeypatch.setenv("XNB_CACHE", str(project.root / "data" / "cache"))
    (project.root / "collection").mkdir()
    table = {"01": {"dataset": "cifar10"}, "02": {"folder": "scans"}, "03": {"folder": "masks", "optional": True}}
    (project.root / "collection" / "long_runs.json").write_text(json.dumps(table))
    for number in ("00", "01", "02", "03"):
        project.notebook(f"{number}_any", more="x = PROFILE")
    project.notebook("04_short", more="x = 1")

    def planned(**options):
        made = jobs.plan_jobs(project.tree, profile="paper", **options)
        return {job.name[:2]: (job.parameters.get("DATASET"), job.build.name) for job in made}

    assert planned() == {"00": (None, "paper"), "01": ("cifar10", "paper-cifar10"), "03": (None, "paper")}
    missing = "02_any needs files in data/cache/scans/, or DATASET=folder, see data/README.md"
    assert jobs.list_left_out(project.tree, None) == [missing]
    for folder in ("scans", "masks"):
        (project.root / "data" / "cache" / folder).mkdir()
    assert planned()["02"][0] == str(project.root / "data" / "cache" / "scans")
    assert planned()["03"][0] == str(project.root / "data" / "cache" / "masks")
    assert jobs.list_left_out(project.tree, None) == []
    assert planned(dataset="/my/pictures").keys() == {"00", "01", "02", "03"}
    with pytest.raises(ValueError, match=r"04_short has no longer version'\n  try: make figures NOTEBOOK=04$"):
        planned(notebook="04")
