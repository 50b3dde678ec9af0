"""The notebooks here are real and run in real kernels; they write their figures by hand, as torch takes seconds."""

import signal
import subprocess
import sys
import time

import nbformat
import pytest
from nbformat.v4 import new_code_cell, new_notebook

from collection import runner

SETUP = """
import os, pathlib, time
with open("../log.txt", "a") as log: _ = log.write(pathlib.Path.cwd().name + NUMBER)
def savefig(id, text="numbers", folder=""):
    for kind in ("json", "png", "pdf"):
        path = pathlib.Path(os.environ["XNB_FIGURES"], folder, f"{id}.{kind}")
        path.parent.mkdir(exist_ok=True)
        _ = path.write_text(text)
"""


class Project:
    """A collection of its own below a temporary folder."""

    def __init__(self, root):
        self.root = root
        for name in ("notebooks", "figures", "xnb", "data/cache"):
            (root / name).mkdir(parents=True)
        self.tree = runner.Tree(root, root / "figures")

    def notebook(self, name, **cells):
        setup = SETUP.replace("NUMBER", repr(name[:2]))
        parameters = new_code_cell('PROFILE = "quick"', id="parameters", metadata={"tags": ["parameters"]})
        others = [new_code_cell(source, id=id.replace("_", "-")) for id, source in cells.items()]
        book = new_notebook(cells=[parameters, new_code_cell(setup, id="setup"), *others])
        nbformat.write(book, self.root / "notebooks" / f"{name}.ipynb")

    def run(self, *arguments):
        return runner.main(arguments, self.tree)

    def start(self):
        """The same in a process of its own."""
        code = f"import sys; from collection import runner; from pathlib import Path; root = Path({str(self.root)!r});"
        code += "sys.exit(runner.main(['figures'], runner.Tree(root, root / 'figures')))"
        return subprocess.Popen([sys.executable, "-c", code], stderr=subprocess.PIPE, text=True)

    def ran(self):
        """Numbers of the notebooks that ran since the last call."""
        log = self.root / "log.txt"
        text = log.read_text() if log.exists() else ""
        log.unlink(missing_ok=True)
        return text.replace("notebooks", " ").split()

    def files(self, folder="figures"):
        place = self.root / folder
        return {str(path.relative_to(place)): path.read_bytes() for path in place.rglob("*") if path.is_file()}


@pytest.fixture
def project(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    return Project(tmp_path)


def test_a_failure_keeps_what_was_there_and_the_others_go_on(project, capfd):
    project.notebook("00_good", fig_00_1="savefig('fig-00-1')")
    project.notebook("01_bad", fig_01_1="savefig('fig-01-1', 'new')", check_1="assert 1 + 1 == 3, 'wrong'")
    project.notebook("02_forgetful", fig_02_1="savefig('fig-02-2')")
    project.notebook("03_bare")
    (project.root / "figures" / "fig-01-1.png").write_text("earlier")
    assert project.run("figures") == 1
    out, err = capfd.readouterr()
    assert out.splitlines() == [
        "figure    notebook      file                  state",
        "fig-00-1  00_good       figures/fig-00-1.png  ok",
        "fig-01-1  01_bad        -                     failed",
        "fig-02-1  02_forgetful  -                     missing",
        "fig-02-2  02_forgetful  figures/fig-02-2.png  ok",
        "-         03_bare       -                     ok",
        "",
        "executed notebooks: build/quick/",
    ]
    assert "Failed: 01_bad, cell check-1" in err
    assert "wrong" in err
    assert "01_bad.failed.ipynb" in err
    assert "00_good fig-00-1" in err  # the progress bar names notebook and cell
    assert "12/12 cells" in err
    assert project.files()["fig-01-1.png"] == b"earlier"
    assert "fig-01-1.json" not in project.files()
    built = {path.name for path in (project.root / "build" / "quick").glob("*.ipynb")}
    assert built == {"00_good.ipynb", "01_bad.failed.ipynb", "02_forgetful.ipynb", "03_bare.ipynb"}
    failed = nbformat.read(project.root / "build/quick/01_bad.failed.ipynb", as_version=4)
    assert failed.cells[-1].outputs[0].ename == "AssertionError"


def test_does_only_what_is_missing(project, capsys):
    project.notebook("00_one", fig_00_1="savefig('fig-00-1')")
    project.notebook("01_two", fig_01_1="savefig('fig-01-1')")
    assert project.run("figures") == 0
    assert project.ran() == ["00", "01"]
    before = project.files(".")

    assert project.run("figures") == 0
    assert project.ran() == []
    assert project.files(".") == before
    assert capsys.readouterr().out.count("up to date") == 2

    project.notebook("01_two", fig_01_1="savefig('fig-01-1', 'other numbers')")
    assert project.run("figures") == 0
    assert project.ran() == ["01"]
    assert project.files()["fig-01-1.json"] == b"other numbers"

    (project.root / "figures" / "fig-00-1.json").write_text("edited by hand")
    assert project.run("figures") == 0
    assert project.ran() == ["00"]
    assert project.files()["fig-00-1.json"] == b"numbers"

    assert project.run("figures", "--notebook", "1", "--force") == 0
    assert project.ran() == ["01"]


def test_the_package_and_the_data_count_but_the_cache_does_not(project):
    project.notebook("00_one")
    keys = [runner.plan(project.tree)[0].key]
    for name in ("data/cache/big.tar", "xnb/model.py", "data/weights.safetensors"):
        (project.root / name).write_text("anything")
        keys.append(runner.plan(project.tree)[0].key)
    assert keys[0] == keys[1]
    assert len(set(keys)) == 3


def wait_until(condition, seconds=60):
    end = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < end
        time.sleep(0.05)


@pytest.mark.parametrize("number", [signal.SIGKILL, signal.SIGINT])
def test_interrupted_and_run_again(number, project):
    once = "if not os.path.exists('../once'):\n    open('../once', 'w').close()\n    time.sleep(600)"
    project.notebook("00_done", fig_00_1="savefig('fig-00-1')")
    project.notebook("01_cut", fig_01_1="savefig('fig-01-1')", slow=once)
    process = project.start()
    wait_until((project.root / "once").exists)
    process.send_signal(number)
    _, err = process.communicate(timeout=30)
    if number == signal.SIGINT:
        assert process.returncode == 130
        assert err.endswith("\nStopped. What is finished is kept: `make figures` goes on from there.\n")
    assert project.ran() == ["00", "01"]
    assert sorted(project.files()) == ["fig-00-1.json", "fig-00-1.pdf", "fig-00-1.png"]

    assert project.run("figures") == 0
    assert project.ran() == ["01"]
    assert len(project.files()) == 6
    assert not any((project.root / "build/quick/staging").iterdir())


def test_refresh_stores_the_same_bytes_every_time(project):
    project.notebook("00_one", fig_00_1="savefig('fig-00-1')", play="import ipywidgets; ipywidgets.IntSlider()")
    project.notebook("01_bad", bad="1 / 0")
    bad = project.files("notebooks")["01_bad.ipynb"]
    assert project.run("refresh") == 1
    first = project.files("notebooks")
    assert project.run("refresh", "--notebook", "00") == 0
    assert project.files("notebooks") == first
    assert first["01_bad.ipynb"] == bad
    stored = nbformat.reads(first["00_one.ipynb"], as_version=4)
    assert [cell.execution_count for cell in stored.cells] == [1, 2, 3, 4]
    assert stored.metadata.language_info == {"name": "python"}
    assert len(project.files()) == 3
    project.ran()
    assert project.run("figures", "--notebook", "00") == 0
    assert project.ran() == []  # stored outputs are no reason to run again


def test_parameters_reach_the_notebook(project):
    project.notebook("00_one", fig_00_1="savefig('fig-00-1', PROFILE, 'paper' if PROFILE == 'paper' else '')")
    before = project.files("notebooks")
    assert project.run("figures", "--profile", "paper", "--dataset", "cifar10") == 0
    assert project.files()["paper/fig-00-1.json"] == b"paper"
    executed = nbformat.read(project.root / "build/paper-cifar10/00_one.ipynb", as_version=4)
    assert executed.cells[1].source == "PROFILE = 'paper'"  # it has no DATASET
    assert project.files("notebooks") == before


@pytest.mark.parametrize("profile", [[], ["--profile", "paper"]])
def test_figures_of_another_dataset_do_not_replace_the_notebook_s_own(profile, project):
    project.notebook("00_one", fig_00_1="savefig('fig-00-1')")
    assert project.run("figures", "--dataset", "/my/pictures", *profile) == 0
    assert project.files() == {}
    [build] = (project.root / "build").iterdir()
    assert build.name in ("quick-_my_pictures", "paper-_my_pictures")
    assert "fig-00-1.png" in project.files(build / "figures")


def test_refusals(project, capsys):
    assert project.run("figures", "--notebook", "02") == (
        "runner: no notebook of that number\n  got: '02'\n  try: one of no notebooks yet"
    )
    project.notebook("00_one")
    assert project.run("figures", "--notebook", "02").endswith("try: one of 00")
    (project.root / "notebooks" / "01_torn.ipynb").write_text("<<<<<<< HEAD")
    assert project.run("refresh").startswith("runner: the file must be a notebook\n  got: '01_torn.ipynb'")
    with pytest.raises(SystemExit):
        project.run("figures", "--profile", "fast")
    assert "invalid choice: 'fast'" in capsys.readouterr().err
