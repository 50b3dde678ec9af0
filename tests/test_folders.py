"""Files are written whole or not at all, and folders can be moved."""

import os
import time
from pathlib import Path

import pytest

from xnb import folders


def test_a_new_file_and_its_folders_appear_at_the_end(tmp_path):
    path = tmp_path / "deep" / "file.json"
    with folders.replace_file(path) as draft:
        draft.write_text("new")
        assert not path.exists()
    assert path.read_text() == "new"
    assert list(path.parent.iterdir()) == [path]


def test_a_block_that_fails_leaves_the_file_as_it_was_and_no_draft(tmp_path):
    path = tmp_path / "file.json"
    path.write_text("old")
    with pytest.raises(TypeError), folders.replace_file(path) as draft:
        draft.write_bytes(b"half") + "fails"
    assert path.read_text() == "old"
    assert list(tmp_path.iterdir()) == [path]


def test_two_at_once_end_with_the_whole_file_of_one(tmp_path):
    path = tmp_path / "file.json"
    with folders.replace_file(path) as first, folders.replace_file(path) as second:
        assert first != second
        first.write_text("first")
        second.write_text("second")
    assert path.read_text() == "first"  # its block ends last
    assert list(tmp_path.iterdir()) == [path]


def test_a_draft_that_a_killed_run_left_goes_after_a_day(tmp_path):
    path = tmp_path / "file[1].json"
    young, old = tmp_path / ".file[1].json.young.part", tmp_path / ".file[1].json.old.part"
    for draft in (young, old):
        draft.write_text("half")
    yesterday = time.time() - 90_000
    os.utime(old, (yesterday, yesterday))
    with folders.replace_file(path) as draft:
        draft.write_text("new")
    assert sorted(tmp_path.iterdir()) == [young, path]


def test_a_draft_may_lie_beside_the_folder_around_the_file(tmp_path):
    """So that in a folder of files there are whole ones alone."""
    folder = tmp_path / "maps.zarr"
    with folders.replace_file(folder / "c" / "0", folder) as draft:
        assert draft.parent == tmp_path
        draft.write_text("new")
    assert (folder / "c" / "0").read_text() == "new"
    assert list(tmp_path.iterdir()) == [folder]


@pytest.mark.parametrize(
    ("variable", "folder", "default"),
    [("XNB_CACHE", folders.cache_folder, "data/cache"), ("XNB_FIGURES", folders.figure_folder, "figures")],
)
def test_environment_variables_move_a_folder(variable, folder, default, monkeypatch):
    monkeypatch.delenv(variable, raising=False)
    assert folder() == folders.ROOT / default
    monkeypatch.setenv(variable, "/elsewhere")
    assert folder() == Path("/elsewhere")
