"""Tests: collection.stamps."""

import json

import pytest

from collection import jobs, stamps

RUN = ("refresh", "--profile", "paper")


@pytest.fixture
def refreshed(project):
    """A collection of which two figures of a long run are stored."""
    saved = "savefig('fig-00-{}', PROFILE, PROFILE * (PROFILE == 'paper'))"
    project.notebook("00_one", fig_00_1=saved.format(1), fig_00_2=saved.format(2))
    (project.root / "xnb" / "maps.py").write_text("x = 1")
    assert project.run(*RUN, "--new") == 0
    return project


def states(project):
    package = stamps.hash_package(project.root)
    return {state.figure: (state.code, state.package) for state in stamps.list_states(project.tree, package)}


def test_a_refresh_stamps_what_it_stores(refreshed):
    manifest = stamps.read_manifest(refreshed.tree)
    assert manifest.keys() == {"fig-00-1", "fig-00-2"}
    stamp = manifest["fig-00-1"]
    assert stamp.keys() == stamps.FigureStamp.__annotations__.keys()
    assert (stamp["notebook"], stamp["data"], stamp["data_hash"]) == ("00_one", "its own", None)
    assert stamp["seconds"] > 0
    assert stamp["source"] == "run"
    assert str(refreshed.root) not in json.dumps(manifest)
    assert states(refreshed) == dict.fromkeys(manifest, ("same", "same"))


def test_a_figure_of_other_code_is_told(refreshed, capsys):
    saved = "savefig('fig-00-{}', PROFILE, PROFILE * (PROFILE == 'paper'))"
    refreshed.notebook("00_one", fig_00_1=saved.format(1) + "  # words", fig_00_2=saved.format(2))
    (refreshed.root / "xnb" / "maps.py").write_text("x = 2")
    assert states(refreshed)["fig-00-1"] == ("same", "changed")
    refreshed.notebook("00_one", fig_00_1=saved.format(1) + "; x = 1", fig_00_2=saved.format(2))
    assert states(refreshed)["fig-00-2"] == ("changed", "changed")  # of any cell of its notebook
    capsys.readouterr()
    assert stamps.main(refreshed.tree) == 0
    out = capsys.readouterr().out.splitlines()
    assert out[0].split() == list(stamps.FigureState._fields)
    assert out[1].split()[:4] == ["fig-00-1", "00_one", "changed", "changed"]
    assert out[-2:] == [
        "0 of 2 figures are of the present code of their notebook",
        "  make refresh NOTEBOOK=00 PROFILE=paper",
    ]
    refreshed.notebook("01_other", fig_00_1=saved.format(1))
    (refreshed.root / "notebooks" / "00_one.ipynb").unlink()
    assert states(refreshed) == dict.fromkeys(("fig-00-1", "fig-00-2"), ("changed", "changed"))


def test_a_figure_without_a_stamp_and_a_stamp_without_a_figure_are_told(refreshed):
    path = stamps.manifest_path(refreshed.tree)
    manifest = stamps.read_manifest(refreshed.tree)
    path.write_text(json.dumps({"fig-00-2": manifest["fig-00-2"], "fig-00-9": manifest["fig-00-1"]}))
    assert states(refreshed)["fig-00-1"] == ("no stamp", "no stamp")
    assert stamps.list_orphans(refreshed.tree) == ["fig-00-9"]
    stamps.write_stamps(refreshed.tree, {"fig-00-1": manifest["fig-00-1"]})
    assert stamps.read_manifest(refreshed.tree) == manifest


def test_a_refresh_stores_no_further_figure_of_a_long_run_unless_it_is_asked_to(refreshed):
    stored = refreshed.root / "figures" / "paper"
    for path in stored.glob("fig-00-2.*"):
        path.unlink()
    assert refreshed.run(*RUN) == 0
    assert sorted(path.name for path in stored.iterdir()) == [*_files("fig-00-1"), "manifest.json"]
    assert stamps.read_manifest(refreshed.tree).keys() == {"fig-00-1"}
    assert refreshed.run(*RUN, "--new") == 0
    assert stamps.read_manifest(refreshed.tree).keys() == {"fig-00-1", "fig-00-2"}


def _files(figure):
    return [f"{figure}.{kind}" for kind in ("json", "pdf", "png")]


def test_a_failed_long_run_leaves_figures_and_stamps(refreshed):
    before = refreshed.files("figures")
    refreshed.notebook("00_one", bad="PROFILE / 0")
    assert refreshed.run(*RUN) == 1
    assert refreshed.files("figures") == before


def test_the_data_of_a_run_have_a_hash_and_no_place(project):
    project.notebook("00_one", fig_00_1="savefig('fig-00-1', PROFILE, PROFILE * (PROFILE == 'paper'))")
    path = project.root / "notebooks" / "00_one.ipynb"
    book = jobs.read_notebook(path)
    book.cells[0].source = 'PROFILE = "quick"\nDATASET = ""'
    jobs.write_notebook(book, path)
    folder = project.root / "scans"
    folder.mkdir()
    (folder / "one.npz").write_bytes(b"1")
    assert project.run(*RUN, "--dataset", str(folder), "--new") == 0
    stamp = stamps.read_manifest(project.tree)["fig-00-1"]
    assert (stamp["data"], stamp["data_hash"]) == ("scans", stamps.hash_folder(folder))
    (folder / "one.npz").write_bytes(b"2")
    assert stamps.hash_folder(folder) != stamp["data_hash"]
    assert stamps.hash_folder(folder / "missing") is None
