"""Tests: collection.runner, collection.table."""

import os
import signal
import subprocess
import time

import nbformat
import pytest


def test_a_failure_keeps_what_was_there_and_the_others_go_on(project, capfd):
    project.notebook("00_good", fig_00_1="savefig('fig-00-1')")
    project.notebook("01_bad", fig_01_1="savefig('fig-01-1', 'new')", check_1="assert 1 + 1 == 3, 'wrong'")
    project.notebook("02_forgetful", fig_02_1="savefig('fig-02-2')")
    project.notebook("03_bare")
    (project.root / "build/figures").mkdir(parents=True)
    (project.root / "build/figures/fig-01-1.png").write_text("earlier")
    assert project.run("figures") == 1
    out, err = capfd.readouterr()
    assert out.splitlines() == [
        "figure    notebook      file                        state",
        "fig-00-1  00_good       build/figures/fig-00-1.png  new",
        "fig-01-1  01_bad        -                           failed",
        "fig-02-1  02_forgetful  -                           missing",
        "fig-02-2  02_forgetful  build/figures/fig-02-2.png  new",
        "-         03_bare       -                           ok",
        "",
        "figures beside the stored ones: 2 new, 1 failed, 1 missing",
        "executed notebooks: build/quick/",
    ]
    assert "Failed: 01_bad, cell check-1" in err
    assert "wrong" in err
    assert "01_bad.failed.ipynb" in err
    assert "00_good fig-00-1" in err  # the progress bar names notebook and cell
    assert "1 figures in build/figures/; " in err
    assert "notebooks to go, about " in err
    assert "12/12 cells" in err
    assert project.files()["fig-01-1.png"] == b"earlier"
    assert "fig-01-1.json" not in project.files()
    assert project.files("figures") == {}
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
    capsys.readouterr()

    assert project.run("figures") == 0
    assert project.ran() == []
    assert project.files(".") == before
    assert "up to date, not run again: 00_one, 01_two\n" in capsys.readouterr().out

    project.notebook("01_two", fig_01_1="savefig('fig-01-1', 'other numbers')")
    assert project.run("figures") == 0
    assert project.ran() == ["01"]
    assert project.figure("fig-01-1.json")["text"] == "other numbers"

    (project.root / "build/figures/fig-00-1.json").write_text("edited by hand")
    assert project.run("figures") == 0
    assert project.ran() == ["00"]
    assert project.figure("fig-00-1.json")["text"] == "numbers"

    assert project.run("figures", "--notebook", "1", "--force") == 0
    assert project.ran() == ["01"]


def git(folder, *arguments):
    identity = ["-c", "user.name=a", "-c", "user.email=a@b.c"]
    done = subprocess.run(["git", *identity, *arguments], cwd=folder, check=True, capture_output=True, text=True)
    return done.stdout


def test_a_run_leaves_the_clone_as_it_was_and_says_what_differs(project, capsys):
    cells = {f"fig_00_{n}": f"savefig('fig-00-{n}')" for n in (1, 2, 3, 4)}
    project.notebook("00_one", **cells)
    assert project.run("refresh") == 0
    assert "stored in figures/: 12 files" in capsys.readouterr().out
    stored = project.root / "figures"
    text = (stored / "fig-00-1.json").read_text()
    (stored / "fig-00-1.json").write_text(text.replace("0.5", "0.503"))  # within the tolerance
    (stored / "fig-00-2.json").write_text(text.replace("fig-00-1", "fig-00-2").replace("0.5", "0.6"))
    (stored / "fig-00-3.json").write_text(text.replace("fig-00-1", "fig-00-3").replace("numbers", "words"))
    for path in stored.glob("fig-00-4.*"):
        path.unlink()
    (project.root / ".gitignore").write_text("build/\nlog.txt\n")
    git(project.root, "init", "-q")
    git(project.root, "add", ".")
    git(project.root, "commit", "-qm", "all")
    assert project.run("figures", "--force") == 0  # told, and no failure
    assert git(project.root, "status", "--porcelain") == ""
    changed = 'shape, text or whole numbers differ: "words" became "numbers"'
    out = capsys.readouterr().out
    assert [line.split("png  ")[1] for line in out.splitlines()[1:5]] == [
        "same",
        "differs: loss: 1 of 1 numbers differ, by up to 0.1 (0.006 allowed)",
        f"differs: text: {changed}",
        "new",
    ]
    assert "figures beside the stored ones: 1 same, 2 differs, 1 new\n" in out
    assert "`make refresh` would store these" in out


def test_notebooks_run_side_by_side(project, monkeypatch):
    monkeypatch.setattr(os, "sched_getaffinity", lambda process: {0, 1})
    meet = "open(f'../here-{NAME}', 'w').close()\nwhile not os.path.exists('../here-{OTHER}'): time.sleep(0.05)"
    for name, other in (("00", "01"), ("01", "00")):
        project.notebook(f"{name}_any", meet=meet.replace("{NAME}", name).replace("{OTHER}", other))
    assert project.run("figures") == 0


def wait_until(condition, seconds=600):
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
    wait_until(lambda: (project.root / "once").exists() and (project.root / "build/quick/00_done.stamp.json").exists())
    process.send_signal(number)
    _, err = process.communicate(timeout=600)
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
    assert len(project.files("figures")) == 3
    project.ran()
    assert project.run("figures", "--notebook", "00") == 0
    assert project.ran() == []  # stored outputs are no reason to run again


def test_refresh_says_where_outputs_are_of_the_figures_before(project, capsys):
    reads = "from pathlib import Path; path = Path('../figures/fig-00-1.json')  # as read_figure does\n"
    reads += "print(path.read_text() if path.exists() else 'nothing')"
    project.notebook("00_one", reads=reads, fig_00_1="import time; savefig('fig-00-1', str(time.time()))")
    project.notebook("01_two", fig_01_1="import time; savefig('fig-01-1', str(time.time()))")
    assert project.run("refresh") == 0
    assert "once more" not in capsys.readouterr().out  # there was nothing to read
    assert project.run("refresh") == 0
    says = [line for line in capsys.readouterr().out.splitlines() if line.startswith("once more")]
    assert says == ["once more: make refresh NOTEBOOK=00, which prints figures that were stored before"]


def test_parameters_reach_the_notebook(project):
    project.notebook("00_one", fig_00_1="savefig('fig-00-1', PROFILE, 'paper' if PROFILE == 'paper' else '')")
    before = project.files("notebooks")
    assert project.run("figures", "--profile", "paper", "--dataset", "cifar10") == 0
    assert project.figure("paper/fig-00-1.json")["text"] == "paper"
    executed = nbformat.read(project.root / "build/paper-cifar10/00_one.ipynb", as_version=4)
    assert executed.cells[1].source == "PROFILE = 'paper'"  # it has no DATASET
    assert project.files("notebooks") == before
    assert project.files("figures") == {}


def test_refresh_stores_figures_of_a_paper_run_that_is_there_and_nothing_else(project):
    project.notebook("00_one", fig_00_1="savefig('fig-00-1', PROFILE, 'paper')", fig_00_2="savefig('fig-00-2')")
    before = project.files("notebooks")
    assert project.run("figures", "--profile", "paper") == 0
    assert project.ran() == ["00"]
    assert project.run("refresh", "--profile", "paper", "--new") == 0
    assert project.ran() == []
    names = ["paper/fig-00-1.json", "paper/fig-00-1.pdf", "paper/fig-00-1.png", "paper/manifest.json"]
    assert sorted(project.files("figures")) == names
    assert project.files("notebooks") == before


def test_a_longer_run_leaves_the_figures_of_the_notebook_s_own(project, capsys):
    project.notebook("00_one", fig_00_1="savefig('fig-00-1', PROFILE)", fig_00_2="savefig('fig-00-2', 'x', 'paper')")
    assert project.run("figures") == 0
    before = project.files()["fig-00-1.json"]
    assert project.run("figures", "--profile", "paper") == 0
    assert project.files()["fig-00-1.json"] == before
    assert "build/paper/figures/fig-00-1.png  other data\n" in capsys.readouterr().out


@pytest.mark.parametrize("profile", [[], ["--profile", "paper"]])
def test_figures_of_another_dataset_do_not_replace_the_notebook_s_own(profile, project, capsys):
    project.notebook("00_one", fig_00_1="savefig('fig-00-1', PROFILE)")
    assert project.run("figures", "--dataset", "/my/pictures", *profile) == 0
    assert project.files() == {}
    [build] = (project.root / "build").iterdir()
    assert build.name in ("quick-_my_pictures", "paper-_my_pictures")
    assert "fig-00-1.png" in project.files(build / "figures")
    assert "fig-00-1.png  other data\n" in capsys.readouterr().out


def test_refusals(project, capsys):
    assert project.run("figures", "--notebook", "02") == (
        "runner: no notebook of that number\n  got: '02'\n  try: one of no notebooks yet"
    )
    project.notebook("00_one")
    assert project.run("figures", "--notebook", "02").endswith("try: one of 00")
    assert project.run("figures", "--profile", "paper") == (
        "runner: no notebook that can run the paper profile\n  got: '00_one has no longer version'\n  try: make figures"
    )
    (project.root / "notebooks" / "01_torn.ipynb").write_text("<<<<<<< HEAD")
    assert project.run("refresh").startswith("runner: the file must be a notebook\n  got: '01_torn.ipynb'")
    assert project.run("refresh", "--dataset", "cifar10") == (
        "refresh: stored outputs and figures show the notebooks' own data, but for the paper profile\n"
        "  got: 'cifar10'\n  try: PROFILE=paper"
    )
    with pytest.raises(SystemExit):
        project.run("figures", "--profile", "fast")
    assert "invalid choice: 'fast'" in capsys.readouterr().err
