"""Stored networks are what their manifest says, and recipes make them."""

import json
from dataclasses import replace
from functools import cache

import pytest
import torch

from xnb import checkpoints, data, storage
from xnb.summary import count_parameters
from xnb.training.loop import evaluate


@cache
def make_split(source):
    """Recipes that name the same data share them."""
    return source()


@pytest.mark.parametrize("name", sorted(checkpoints.RECIPES))
def test_is_what_the_manifest_says(name):
    known = checkpoints.read_manifest()[name]
    model = checkpoints.load(name)
    assert not any(module.training for module in model.modules())
    assert count_parameters(model) == known["parameters"]
    split = make_split(checkpoints.RECIPES[name].data)
    assert evaluate(model, split.test)[1] == pytest.approx(known["accuracy"], abs=0.002)
    _, facts = storage.read_tensors(checkpoints.FOLDER / f"{name}.safetensors")
    assert facts.items() <= known.items()


def test_manifest_lists_every_file():
    assert set(checkpoints.read_manifest()) == set(checkpoints.RECIPES)
    assert {file.stem for file in checkpoints.FOLDER.glob("*.safetensors")} == set(checkpoints.RECIPES)


def test_recipe_trains_and_stores(tmp_path, monkeypatch):
    recipe = checkpoints.Recipe(checkpoints.RECIPES["smallcnn-digits"].model, data.digits, 3, 1e-2)
    monkeypatch.setitem(checkpoints.RECIPES, "smallcnn-digits", recipe)
    entry = checkpoints.train_checkpoint("smallcnn-digits", tmp_path)
    assert entry["sha256"] == storage.sha256(tmp_path / "smallcnn-digits.safetensors")
    assert entry["accuracy"] > 0.5


def test_names_are_trained_one_by_one_and_what_was_there_stays(tmp_path, monkeypatch):
    recipes = {name: replace(checkpoints.RECIPES["smallcnn-digits"], epochs=1) for name in ("a-digits", "b-digits")}
    monkeypatch.setattr(checkpoints, "RECIPES", recipes)
    monkeypatch.setattr(checkpoints, "FOLDER", tmp_path)
    (tmp_path / "manifest.json").write_text(json.dumps({"a-digits": {"epochs": 20}}))
    checkpoints.main([])  # what is missing
    manifest = checkpoints.read_manifest()
    assert (manifest["a-digits"], manifest["b-digits"]["epochs"]) == ({"epochs": 20}, 1)
    checkpoints.main(["a-digits"])
    assert [entry["epochs"] for entry in checkpoints.read_manifest().values()] == [1, 1]
    with pytest.raises(ValueError, match="no checkpoint of that name"):
        checkpoints.main(["c-digits"])


def test_half_of_the_digits_is_stored_and_judged(tmp_path, monkeypatch):
    recipe = replace(checkpoints.RECIPES["smallcnn-digits"], epochs=2, batch=64, stored=torch.float16)
    monkeypatch.setitem(checkpoints.RECIPES, "smallcnn-digits", recipe)
    entry = checkpoints.train_checkpoint("smallcnn-digits", tmp_path)
    stored, _ = storage.read_tensors(tmp_path / "smallcnn-digits.safetensors")
    assert {tensor.dtype for tensor in stored.values()} == {torch.float16, torch.int64}
    again = recipe.model().eval()
    storage.load_weights(again, tmp_path / "smallcnn-digits.safetensors")
    assert next(again.parameters()).dtype == torch.float32
    assert round(evaluate(again, recipe.data().test)[1], 4) == entry["accuracy"]


def test_another_file_is_refused(tmp_path, monkeypatch):
    monkeypatch.setattr(checkpoints, "FOLDER", tmp_path)
    storage.write_tensors(tmp_path / "smallcnn-digits.safetensors", {"a": torch.zeros(1)}, {})
    (tmp_path / "manifest.json").write_text(json.dumps({"smallcnn-digits": {"sha256": "0"}}))
    with pytest.raises(ValueError, match="not the one in the manifest"):
        checkpoints.load("smallcnn-digits")
    with pytest.raises(ValueError, match="try: one of \\['smallcnn-digits'"):
        checkpoints.load("smallcnn-digit")


def test_a_recipe_goes_on_from_a_stored_network(tmp_path, monkeypatch):
    """With a rate of next to nothing its weights stay those it began with."""
    recipe = replace(checkpoints.RECIPES["smallcnn-digits"], epochs=1, rate=1e-9, start="smallcnn-digits")
    monkeypatch.setitem(checkpoints.RECIPES, "again-digits", recipe)
    checkpoints.train_checkpoint("again-digits", tmp_path)
    stored, _ = storage.read_tensors(tmp_path / "again-digits.safetensors")
    start = checkpoints.load("smallcnn-digits")
    torch.testing.assert_close(stored["head.weight"], start.head.weight.detach(), atol=1e-6, rtol=0)
