"""Networks on all of CIFAR-10: what is stored is what the manifest says, and the command makes it.

Tests: xnb.training.cifar_recipes, xnb.training.machine, xnb.training.weight_folder
"""

import json
import os
import subprocess
import sys
from dataclasses import replace
from functools import partial

import pytest
import torch
from torchvision.utils import save_image

from xnb import data, folders, storage
from xnb.data.cifar import CIFAR10_CLASSES
from xnb.models import SmallCNN
from xnb.summary import count_parameters
from xnb.training import cifar10, evaluate
from xnb.training.augmentation import flips_and_shifts
from xnb.training.cifar_recipes import CifarRecipe
from xnb.training.machine import describe_machine
from xnb.training.weight_folder import read_facts, write_facts

STORED = read_facts(cifar10.FOLDER)
PARAMETERS = {"mlp": 820_874, "attention": 50_954, "smallcnn": 121_562, "vit": 126_106, "resnet": 695_146}


def test_recipes_are_five_kinds_with_three_trainings_each():
    assert len(cifar10.RECIPES) == 15
    for name, recipe in cifar10.RECIPES.items():
        kind, seed = name.split("-")
        assert recipe.seed == int(seed)
        assert count_parameters(recipe.model()) == PARAMETERS[kind]
    assert {name.split("-")[0] for name in list(cifar10.RECIPES)[:5]} == set(PARAMETERS)  # one of each before a second


def test_the_manifest_lists_every_file():
    assert set(STORED) <= set(cifar10.RECIPES)
    assert {file.stem for file in cifar10.FOLDER.glob("*.safetensors")} == set(STORED)


@pytest.mark.parametrize("name", STORED)
def test_a_stored_network_is_that_of_its_recipe_and_manifest(name):
    entry = STORED[name]
    stale = f"stale: the recipe of {name} is another one by now; python -m xnb.training.cifar10 {name}"
    assert entry["recipe"] == cifar10.RECIPES[name].hash_text(), stale
    assert entry["sha256"] == storage.sha256(cifar10.FOLDER / f"{name}.safetensors")
    model = cifar10.load(name)
    assert not any(module.training for module in model.modules())
    assert count_parameters(model) == entry["parameters"]
    curve = entry["curve"]
    assert {len(values) for values in curve.values()} == {entry["epochs"]}
    # In the manifest stands the accuracy of weights that were rounded to 16 bits, in the curve that before.
    assert entry["accuracy"] == pytest.approx(curve["valid_accuracy"][-1], abs=0.003)


@pytest.fixture(scope="module")
def pictures():
    if not os.environ.get("XNB_CIFAR10"):
        pytest.skip("XNB_CIFAR10 names no copy of CIFAR-10")
    split = data.cifar10()
    if cifar10.hash_split(split) not in {entry["data"] for entry in STORED.values()}:
        pytest.skip("the stored networks were trained on another copy than the one that XNB_CIFAR10 names")
    return cifar10.take_fifth(split.test)


@pytest.mark.parametrize("name", STORED)
def test_every_fifth_test_picture_is_answered_as_the_manifest_says(name, pictures):
    assert evaluate(cifar10.load(name), pictures).accuracy == pytest.approx(STORED[name]["accuracy_of_fifth"], abs=2e-3)


@pytest.mark.parametrize(("kind", "bar"), [("smallcnn", 0.80), ("resnet", 0.86)])
def test_bars_are_reached_by_every_training(kind, bar):
    assert all(entry["accuracy"] >= bar for entry in STORED.values() if entry["model"] == kind)


def test_another_setting_is_another_recipe():
    recipe = cifar10.RECIPES["vit-0"]
    changes = [{"epochs": 1}, {"seed": 1}, {"shift": 1}, {"model": partial(SmallCNN, widths=(4, 4, 4))}]
    hashes = {replace(recipe, **change).hash_text() for change in [{}, *changes]}
    assert len(hashes) == 5
    assert recipe.hash_text() == replace(recipe).hash_text()
    assert recipe.describe()["model"] == "ViT(classes=10, overlap=2, waves=0.2, width=48)"


def test_a_stale_or_missing_network_is_trained_anew(tmp_path):
    recipe = cifar10.RECIPES["mlp-0"]
    write_facts(tmp_path, "mlp-0", {"recipe": recipe.hash_text()}, order=cifar10.RECIPES)
    write_facts(tmp_path, "mlp-1", {"recipe": recipe.hash_text()}, order=cifar10.RECIPES)
    assert cifar10.list_missing(tmp_path) == [name for name in cifar10.RECIPES if name != "mlp-0"]


def test_names_that_cannot_be_loaded_are_refused(tmp_path, monkeypatch):
    monkeypatch.setattr(cifar10, "FOLDER", tmp_path)
    with pytest.raises(ValueError, match=r"no network of that name[\s\S]*try: one of \["):
        cifar10.load("resnet-01")
    with pytest.raises(
        ValueError, match=r"not trained yet\n  got: 'mlp-0'\n  try: xnb.training.cifar10.main\(\['mlp-0'"
    ):
        cifar10.load("mlp-0")


def test_the_interval_is_students(tmp_path):
    for seed, accuracy in enumerate([0.8, 0.82, 0.84]):
        write_facts(tmp_path, f"vit-{seed}", {"model": "vit", "accuracy": accuracy, "seconds": 60}, cifar10.RECIPES)
    write_facts(tmp_path, "mlp-0", {"model": "mlp", "accuracy": 0.5, "seconds": 60}, cifar10.RECIPES)
    table = cifar10.summarise_trainings(tmp_path)
    row = table.loc["vit"]
    assert (row["trainings"], row["accuracy"]) == (3, pytest.approx(0.82))
    assert row["high"] - row["accuracy"] == pytest.approx(4.3027 * 0.02 / 3**0.5, rel=1e-4)
    assert row["low"] + row["high"] == pytest.approx(2 * row["accuracy"])
    assert table.loc["mlp", ["low", "high"]].isna().all()  # of one training there is none


def test_the_machine_is_described_in_words():
    words = describe_machine(torch.device("cpu"))
    assert f"torch {torch.__version__}" in words
    assert "thread" in words


@pytest.fixture
def small(tmp_path, monkeypatch):
    """CIFAR-10 of 200 pictures to train on and 50 to test on, and recipes of two epochs."""
    generator = torch.Generator().manual_seed(0)
    for part, count in (("train", 20), ("test", 5)):
        for name in CIFAR10_CLASSES:
            place = tmp_path / "copy" / part / name
            place.mkdir(parents=True)
            for i in range(count):
                save_image(torch.rand(3, 32, 32, generator=generator), place / f"{i:04d}.png")
    monkeypatch.setenv("XNB_CIFAR10", str(tmp_path / "copy"))
    monkeypatch.setenv("XNB_CACHE", str(tmp_path / "cache"))
    recipes = {name: replace(recipe, epochs=2, batch=50) for name, recipe in cifar10.RECIPES.items()}
    monkeypatch.setattr(cifar10, "RECIPES", recipes)
    return tmp_path / "trained"


def test_the_command_trains_what_is_missing_and_checks_it(small, capsys, monkeypatch):
    monkeypatch.setattr(cifar10, "RECIPES", {name: cifar10.RECIPES[name] for name in list(cifar10.RECIPES)[:5]})
    cifar10.main(["--folder", str(small), "--device", "cpu"])
    entries = json.loads((small / "manifest.json").read_text())
    assert list(entries) == list(cifar10.RECIPES)
    assert cifar10.list_missing(small) == []
    split = data.cifar10()
    for name, entry in entries.items():
        weights, facts = storage.read_tensors(small / f"{name}.safetensors")
        assert {value.dtype for value in weights.values()} <= {torch.float16, torch.int64}
        assert facts.items() <= entry.items()
        assert entry["data"] == cifar10.hash_split(split)
        assert len(entry["curve"]["train_loss"]) == 2
    assert "resnet" in capsys.readouterr().out
    table = cifar10.check_networks(split, small)
    assert (table["manifest"] - table["measured"]).abs().max() < 1e-9
    cifar10.main(["--folder", str(small), "--check"])
    assert "measured" in capsys.readouterr().out
    other = replace(split, test=data.Part(split.test.x.flip(3), split.test.y))
    with pytest.raises(ValueError, match="another copy of the pictures"):
        cifar10.check_networks(other, small)


def test_a_damaged_file_is_refused(small, monkeypatch):
    cifar10.main(["mlp-0", "--folder", str(small), "--device", "cpu"])
    monkeypatch.setattr(cifar10, "FOLDER", small)
    cifar10.load("mlp-0")
    path = small / "mlp-0.safetensors"
    content = bytearray(path.read_bytes())
    content[-1] ^= 1
    path.write_bytes(content)
    with pytest.raises(ValueError, match="cifar10: the file is not the one in the manifest"):
        cifar10.load("mlp-0")


KILLED = """
import os
from dataclasses import replace
from xnb.training import cifar10, warmup_cosine

def die(progress):
    if progress > 0.6:
        os.kill(os.getpid(), 9)
    return warmup_cosine(progress)

die.__name__ = "warmup_cosine"
cifar10.RECIPES = {
    name: replace(recipe, epochs=2, batch=50, schedule=die) for name, recipe in cifar10.RECIPES.items()
}
"""


def test_killed_trainings_go_on_to_the_same_bits(small, tmp_path, monkeypatch):
    names = ["attention-1", "resnet-1"]  # one of each optimizer
    for name in names:
        run = f"cifar10.main([{name!r}, '--folder', {str(small)!r}, '--device', 'cpu'])"
        assert subprocess.run([sys.executable, "-c", KILLED + run], capture_output=True, check=False).returncode == -9
        (stopped,) = (folders.cache_folder() / "trainings").glob(f"{name}-*/last.safetensors")
        assert len(storage.read_tensors(stopped)[1]["epochs"]) == 1
    assert not (small / "manifest.json").exists()
    cifar10.main([*names, "--folder", str(small), "--device", "cpu"])
    monkeypatch.setenv("XNB_CACHE", str(tmp_path / "another"))
    cifar10.main([*names, "--folder", str(tmp_path / "whole"), "--device", "cpu"])
    resumed, whole = (read_facts(folder) for folder in (small, tmp_path / "whole"))
    for name in names:
        assert resumed[name]["sha256"] == whole[name]["sha256"]
        assert resumed[name]["curve"] == whole[name]["curve"]


def test_an_entry_is_written_beside_what_is_there(tmp_path):
    for name in ("b", "a", "gone"):
        write_facts(tmp_path, name, {"of": name}, order=["a", "b", "gone"])
    write_facts(tmp_path, "a", {"of": "a again"}, order=["a", "b"])
    assert list(read_facts(tmp_path).values()) == [{"of": "a again"}, {"of": "b"}]
    assert read_facts(tmp_path / "nowhere") == {}


def test_recipes_make_what_they_say():
    recipe = CifarRecipe(partial(SmallCNN, 3, 10), 1, 0.1, "sgd", 5e-4, shift=3)
    assert torch.equal(next(recipe.make_model().parameters()), next(recipe.make_model().parameters()))
    x = torch.rand(9, 3, 32, 32)
    draws = [torch.Generator().manual_seed(0) for _ in range(2)]
    assert torch.equal(recipe.make_augment()(x, draws[0]), flips_and_shifts(3)(x, draws[1]))
    group = recipe.make_optimizer(recipe.make_model()).param_groups[0]
    assert (group["lr"], group["momentum"], group["nesterov"], group["weight_decay"]) == (0.1, 0.9, True, 5e-4)
