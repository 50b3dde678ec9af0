"""A figure is stored as its numbers; what was stored can be read, compared and listed."""

import json
import math

import numpy as np
import pandas as pd
import pytest
import torch
from matplotlib.figure import Figure

from xnb.plot import figures


@pytest.fixture(autouse=True)
def folder(tmp_path, monkeypatch):
    monkeypatch.setenv("XNB_FIGURES", str(tmp_path / "figures"))
    return tmp_path / "figures"


@pytest.fixture
def fig():
    fig = Figure(figsize=(3, 2))
    fig.subplots().plot([0, 1], [0.5, 0.25])
    return fig


def test_savefig_writes_three_files_and_nothing_else(folder, fig):
    figures.savefig(fig, "fig-02-1", {"loss": [0.5, 0.25]}, tolerance=0.01)
    assert sorted(path.name for path in folder.iterdir()) == ["fig-02-1.json", "fig-02-1.pdf", "fig-02-1.png"]
    assert (folder / "fig-02-1.json").read_text() == (
        '{\n "id": "fig-02-1",\n "notebook": "02",\n "tolerance": 0.01,\n "data": {\n  "loss": [0.5, 0.25]\n }\n}\n'
    )
    assert (folder / "fig-02-1.png").read_bytes().startswith(b"\x89PNG")
    assert (folder / "fig-02-1.pdf").read_bytes().startswith(b"%PDF")


def test_paper_has_its_own_folder(folder, fig):
    figures.savefig(fig, "fig-02-1", {"loss": 1.0}, profile="paper")
    assert (folder / "paper" / "fig-02-1.json").exists()
    assert not (folder / "fig-02-1.json").exists()


def test_the_same_figure_gives_the_same_bytes(folder, fig):
    figures.savefig(fig, "fig-02-1", {"loss": torch.tensor([1 / 3])})
    first = {path.name: path.read_bytes() for path in folder.iterdir()}
    figures.savefig(fig, "fig-02-1", {"loss": torch.tensor([1 / 3])})
    assert {path.name: path.read_bytes() for path in folder.iterdir()} == first


def test_a_failure_keeps_the_figure_that_was_there(folder, fig, monkeypatch):
    figures.savefig(fig, "fig-02-1", {"loss": 1.0})
    before = {path.name: path.read_bytes() for path in folder.iterdir()}

    def fail_half_way(path, **options):
        path.write_bytes(b"half")
        raise OSError("disk full")

    monkeypatch.setattr(fig, "savefig", fail_half_way)
    with pytest.raises(OSError, match="disk full"):
        figures.savefig(fig, "fig-02-1", {"loss": 2.0})
    assert {path.name: path.read_bytes() for path in folder.iterdir()} == before


@pytest.mark.parametrize(
    ("value", "stored"),
    [
        (np.float32(1 / 3), 0.3333333),
        (torch.tensor([[1.0, 2.0]], requires_grad=True), [[1.0, 2.0]]),
        (torch.tensor([1, 2]), [1, 2]),
        (pd.Series([0.1, math.nan]), [0.1, None]),
        ([[1.5], [2.5, 3.5]], [[1.5], [2.5, 3.5]]),  # curves of unequal length
        ([np.array([1.0]), torch.tensor(2.0)], [[1.0], 2.0]),
        (("cat", "dog"), ["cat", "dog"]),
        (np.array([True, False]), [True, False]),
        (37_002, 37_002),
        ([], []),
    ],
)
def test_plain_values(value, stored):
    assert figures.to_json_value(value) == stored
    assert json.loads(json.dumps(figures.to_json_value(value))) == stored


@pytest.mark.parametrize("id", ["fig-2-1", "fig-02", "Fig-02-1", "fig-02-1.png", "../fig-02-1"])
def test_refuses_another_id(id, fig, folder):
    with pytest.raises(ValueError, match="id must be fig-NN-n, NN the notebook's number\n  got: "):
        figures.savefig(fig, id, {"loss": 1.0})
    assert not folder.exists()


@pytest.mark.parametrize(
    ("value", "message"),
    [
        (
            np.zeros((100, 201)),
            "must hold at most 20,000 numbers\n  got: 20100\n  try: save what is drawn",
        ),
        ([1.0, math.inf], "data must not be infinite\n  got: inf"),
        ([None], "data must be numbers or text\n  got: None"),
        (np.array([1j]), "data must be numbers or text\n  got: 1j"),
    ],
)
def test_refuses_data(value, message, fig, as_users_run):
    with pytest.raises(ValueError, match=message):
        figures.savefig(fig, "fig-02-1", {"loss": value})


def test_refuses_an_unknown_profile(fig, as_users_run):
    with pytest.raises(ValueError, match="profile must be 'quick' or 'paper'\n  got: 'draft'"):
        figures.savefig(fig, "fig-02-1", {"loss": 1.0}, profile="draft")


def test_read_gives_back_what_was_written(fig, folder):
    data = {"loss": np.linspace(0, 1, 5), "names": ["α", "b"], "hole": [math.nan, 1.0]}
    figures.savefig(fig, "fig-02-1", data, tolerance=0.01)
    assert figures.read_figure(folder / "fig-02-1.json") == figures.make_record("fig-02-1", data, 0.01)


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("{", "the file must be JSON\n  got: 'fig-02-1.json: "),
        ("{}", "the file must hold the figure it is named after"),
        ('{"id": "fig-02-2", "notebook": "02", "tolerance": 0, "data": {}}', "the figure it is named after"),
    ],
)
def test_read_refuses(text, message, tmp_path):
    (tmp_path / "fig-02-1.json").write_text(text)
    with pytest.raises(ValueError, match=message):
        figures.read_figure(tmp_path / "fig-02-1.json")


def compare(old, new, tolerance=1e-3):
    return figures.compare_figures(*(figures.make_record("fig-02-1", {"y": value}, tolerance) for value in (old, new)))


@pytest.mark.parametrize(
    ("old", "new"),
    [
        ([100.0, 0.0], [100.1, 0.1]),  # relative to the largest value of the array
        ([0.0], [9e-7]),  # rounding noise
        ([math.nan, 1.0], [math.nan, 1.0]),
        (["cat", 3, True], ["cat", 3, True]),
        ([], []),
    ],
)
def test_compare_agrees(old, new):
    assert compare(old, new) == []


@pytest.mark.parametrize(
    ("old", "new", "message"),
    [
        ([100.0, 0.0], [100.2, 0.0], "y: 1 of 2 numbers differ, by up to 0.2 (0.1 allowed)"),
        ([100.0, 0.0], [100.0, -0.2], "y: 1 of 2 numbers differ, by up to 0.2 (0.1 allowed)"),
        ([0.0], [2e-6], "y: 1 of 1 numbers differ, by up to 2e-06 (1e-06 allowed)"),
        (37_002, 37_003, "y: shape, text or whole numbers differ: 37002 became 37003"),
        ([1.0, 2.0], [[1.0], [2.0]], "y: shape, text or whole numbers differ: [1.0, 2.0] became [[1.0], [2.0]]"),
        ([math.nan], [1.0], "y: shape, text or whole numbers differ: [null] became [1.0]"),
        ("cat", "dog", 'y: shape, text or whole numbers differ: "cat" became "dog"'),
        (1.0, "float", 'y: shape, text or whole numbers differ: 1.0 became "float"'),
        (1, True, "y: shape, text or whole numbers differ: 1 became true"),
    ],
)
def test_compare_finds(old, new, message):
    assert compare(old, new) == [message]


def test_compare_uses_the_old_tolerance_and_sees_names():
    old = figures.make_record("fig-02-1", {"a": 1.0, "b": 1.0}, 0.1)
    new = figures.make_record("fig-02-1", {"b": 1.05, "c": 1.0})
    assert figures.compare_figures(old, new) == ["a: only in the old figure", "c: only in the new figure"]
    assert figures.compare_figures(new, old) != []


def test_manifest_lists_the_folder(fig, folder):
    figures.savefig(fig, "fig-02-1", {"loss": 1.0})
    figures.savefig(fig, "fig-00-1", {"loss": 1.0}, profile="paper")
    (folder / "fig-02-1.pdf").unlink()
    assert figures.list_figures().to_dict("records") == [
        {"figure": "fig-02-1", "notebook": "02", "profile": "quick", "files": "fig-02-1.json, fig-02-1.png"},
        {
            "figure": "fig-00-1",
            "notebook": "00",
            "profile": "paper",
            "files": "fig-00-1.json, fig-00-1.pdf, fig-00-1.png",
        },
    ]
    assert figures.list_figures(folder / "nowhere").empty
