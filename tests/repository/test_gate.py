"""The gate itself is tested: a good collection passes, and each planted bug fails at exactly its own place."""

import shutil
import subprocess
import sys
from pathlib import Path
from xml.etree import ElementTree

import nbformat
import pytest
from nbformat.v4 import new_code_cell, new_notebook

from collection.jobs import Tree, plan_jobs
from collection.runner import refresh

ROOT = Path(__file__).parents[2]
FRAME = [
    ".gitignore",
    "pyproject.toml",
    "conftest.py",
    "tests/nbval_sanitize.cfg",
    "tests/repository/test_notebooks.py",
]

# The notebook everything is planted in; NN is its number. It writes its figure by hand, as torch takes seconds.
GOOD = {
    "setup": "import json, os, pathlib, time\nimport ipywidgets",
    "savefig": """
def savefig(id, data):
    record = {"id": id, "notebook": "NN", "tolerance": 1e-3, "data": data}
    for kind, text in (("json", json.dumps(record)), ("png", "a picture")):
        _ = pathlib.Path(os.environ["XNB_FIGURES"], f"{id}.{kind}").write_text(text)""",
    "number": "print('a third is', 1 / 3)",
    "count": "2 * 5",
    "fig-NN-1": "savefig('fig-NN-1', {'loss': [1.0, 0.5], 'classes': 10})",
    "fig-NN-2": "savefig('fig-NN-2', {'accuracy': 0.75})",
    "check-1": "assert 1 / 3 < 0.34\nprint('ok')",
    "expected": "int('ten')",
    "play": "@ipywidgets.interact(n=(1, 3))\ndef show(n): print('n is', n)",
    "noise": "time.time()",
}
TAGS = {"expected": ["raises-exception"], "noise": ["nbval-ignore-output"]}


class Project:
    """A collection in a temporary folder, in the frame of this one."""

    def __init__(self, root):
        self.root = root
        for name in FRAME:
            (root / name).parent.mkdir(parents=True, exist_ok=True)
            shutil.copy(ROOT / name, root / name)
        (root / "notebooks").mkdir()
        self.notebook("00_good")
        assert refresh(plan_jobs(Tree(root))) == 0
        self.good = (root / "notebooks/00_good.ipynb").read_text()

    def notebook(self, name):
        cells = [
            new_code_cell(source.replace("NN", name[:2]), id=id.replace("NN", name[:2]), metadata={"tags": TAGS[id]})
            if id in TAGS
            else new_code_cell(source.replace("NN", name[:2]), id=id.replace("NN", name[:2]))
            for id, source in GOOD.items()
        ]
        nbformat.write(new_notebook(cells=cells), self.path(name))

    def path(self, name):
        return self.root / "notebooks" / f"{name}.ipynb"

    def figure(self, id, kind="json"):
        return self.root / "figures" / f"{id}.{kind}"

    def twin(self, name):
        """The good notebook and its figures once more, under another number."""
        number = name[:2]
        self.path(name).write_text(self.good.replace("fig-00", f"fig-{number}").replace('"00"', f'"{number}"'))
        for path in (self.root / "figures").glob("fig-00-*"):
            twin = path.with_name(path.name.replace("fig-00", f"fig-{number}"))
            twin.write_text(path.read_text().replace("fig-00", f"fig-{number}"))

    def gate(self):
        """Run the tests as `make test` does, in two processes: what failed, and what was printed."""
        report = self.root / "build" / "report.xml"
        command = [sys.executable, "-m", "pytest", "-n", "2", f"--junitxml={report}"]
        done = subprocess.run(command, cwd=self.root, capture_output=True, text=True)
        cases = ElementTree.parse(report).getroot().iter("testcase")
        failed = {
            f"{case.get('classname').removeprefix('notebooks.').removeprefix('tests.repository.')}::{case.get('name')}"
            for case in cases
            if case.find("failure") is not None or case.find("error") is not None
        }
        return failed, done.stdout


@pytest.fixture(scope="module")
def project(tmp_path_factory):
    return Project(tmp_path_factory.mktemp("project"))


def edit(path, old, new):
    text = path.read_text()
    assert text.count(old) == 1, (old, text.count(old))
    path.write_text(text.replace(old, new))


def strip(path):
    book = nbformat.read(path, as_version=4)
    for cell in book.cells:
        cell.update(outputs=[], execution_count=None)
    nbformat.write(book, path)


def source(old, new):
    return lambda project, name: edit(project.path(name), old, new)


def lost(figure, kind):
    return lambda project, name: project.figure(f"fig-{name[:2]}-{figure}", kind).unlink()


def cell(number):
    return {f"NN.ipynb::Cell {number}"}


def figure(number):
    return {f"test_notebooks::test_figure_is_as_committed[fig-NN-{number}]"}


OTHER = {"test_notebooks::test_no_other_figure_is_made[NAME]"}

# name: what is done to a twin of the good notebook or to its figures, and what has to fail then, nothing else
PLANTED = {
    "01_wrong_number": (source("0.3333333333333333", "0.3343333333333333"), cell(2)),
    "02_wrong_count": (source('"10"', '"11"'), cell(3)),
    "03_raises": (source("assert 1 / 3 < 0.34", "assert 1 / 3 > 0.34"), cell(6)),
    "04_other_error": (source("int('ten')", "int('two')"), cell(7)),
    "05_no_error": (source("int('ten')", "int('10')"), cell(7)),
    "06_broken_widget": (source("print('n is', n)", "print('n is', m)"), cell(8)),
    "07_warns": (source("print('ok')", "import sys; print('no', file=sys.stderr)"), cell(6)),
    "08_other_figure": (lambda project, name: edit(project.figure("fig-08-1"), "0.5", "0.502"), figure(1)),
    "09_not_saved": (source("savefig('fig-09-2', {'accuracy': 0.75})", "pass"), figure(2)),
    "10_not_committed": (lost(1, "json"), figure(1)),
    "11_no_picture": (lost(1, "png"), figure(1)),
    "12_no_cell": (source('"id": "fig-12-2"', '"id": "other"'), figure(2) | OTHER),
    "13_stripped": (lambda project, name: strip(project.path(name)), set()),  # nbval passes it, the count does not
}
OVERALL = {"test_notebooks::test_most_cells_are_compared"}


@pytest.fixture(scope="module")
def planted(project):
    for name, (plant, _) in PLANTED.items():
        project.twin(name)
        plant(project, name)
    return project.gate()


def test_a_good_collection_passes_and_the_clone_stays_as_it_was(project):
    def git(*arguments):
        identity = ["-c", "user.name=a", "-c", "user.email=a@b.c"]
        command = ["git", *identity, *arguments]
        return subprocess.run(command, cwd=project.root, check=True, capture_output=True, text=True).stdout

    git("init", "-q")
    git("add", ".")
    git("commit", "-qm", "all")
    failed, text = project.gate()
    assert git("status", "--porcelain") == ""
    assert failed == set()
    assert "gate: 9 of 10 code cells compared (90.0%), 5 of them have an output" in text


@pytest.mark.parametrize("name", PLANTED)
def test_a_planted_bug_fails_in_its_place(name, planted):
    expected = set()
    for test in PLANTED[name][1]:
        expected.add(test.replace("NN.ipynb", f"{name}.ipynb").replace("NN", name[:2]).replace("NAME", name))
    assert {test for test in planted[0] if is_about(name, test)} == expected


def is_about(name, test):
    return test.startswith(name) or f"fig-{name[:2]}" in test or f"[{name}]" in test


def test_nothing_else_fails(planted):
    failed, text = planted
    assert {test for test in failed if not any(is_about(name, test) for name in PLANTED)} == OVERALL
    assert "gate: 117 of 140 code cells compared (83.6%)" in text


@pytest.mark.parametrize(
    ("stored", "fresh"),
    [
        ("loss 0.49999997", "loss 0.50000003"),
        ("0.1234", "0.1235"),
        ("1.0000001e-07", "1e-07"),
        ("[-0.0000, 1.5]", "[ 0.0000, 1.5]"),
        ("no number", "no number"),
        ("0.05 points, adjusted p 0.138", "0.05 points, adjusted p 0.131"),
        ("p 0.14, q", "p 0.13, q"),
    ],
)
def test_outputs_agree(stored, fresh, outputs_agree):
    assert outputs_agree(stored, fresh)


@pytest.mark.parametrize(
    ("stored", "fresh"),
    [
        ("0.50", "0.51"),
        ("1.234", "-1.234"),
        ("1e-05", "2e-05"),
        ("37002", "37003"),
        ("37002. Then", "37003. Then"),
        ("loss 0.5", "cost 0.5"),
        ("0.5", "0.5 0.5"),
        ("0.5", "1"),
        ("p 0.14", "p 0.12"),
        ("map 0.14", "map 0.13"),
    ],
)
def test_outputs_differ(stored, fresh, outputs_agree):
    assert not outputs_agree(stored, fresh)


@pytest.mark.parametrize(
    ("test", "expected"),
    [
        ("notebooks/03_attribution_methods.ipynb::Cell 4", "03"),
        ("tests/repository/test_notebooks.py::test_figure_is_as_committed[fig-03-1]", "03"),
        ("tests/repository/test_notebooks.py::test_no_other_figure_is_made[03_attribution_methods]", "03"),
        ("tests/browser/test_browser_notebooks.py::test_runs[03_attribution_methods]", "03"),
        ("tests/browser/test_browser_widgets.py::test_a_move[explore-picture-press]", "tests/browser"),
        ("tests/browser/test_browser_apps.py::test_notebook_7", "tests/browser"),
        ("tests/services/test_answers.py::test_the_map[flask]", "tests/services"),
        ("tests/site/test_site_pages.py::test_every_cell_is_an_anchor[00_setup]", "tests/site"),
        ("tests/repository/test_notebooks.py::test_most_cells_are_compared", "tests/repository/test_notebooks.py"),
        ("tests/repository/test_hygiene.py::test_rule[03_attribution_methods-x]", "tests/repository/test_hygiene.py"),
        ("tests/methods/test_cam.py::test_exact[01-fig-02-1]", "tests/methods/test_cam.py"),
    ],
)
def test_what_belongs_together_runs_in_one_process(test, expected, group):
    assert group(test) == expected
