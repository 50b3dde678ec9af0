"""Two networks learn the same pictures by two label sets; robots have nine classes."""

import pytest
import torch

from xnb import checkpoints
from xnb.training.loop import evaluate
from xnb.training.rendered_recipes import draw_few, draw_shuffled, list_rendered


def test_four_trainings_of_each_kind():
    recipes = list_rendered()
    rendered = [name for name in recipes if name.startswith(("object", "texture", "parts"))]
    assert len(rendered) == 12
    assert {recipe["seed"] for name, recipe in recipes.items() if name.startswith("parts-robots")} == set(range(4))


def test_the_same_pictures_have_two_label_sets():
    recipes = list_rendered()
    one, other = (recipes[f"{label}-textures-0"]["data"](n=(36, 6)).train for label in ("object", "texture"))
    assert torch.equal(one.x, other.x)
    assert not torch.equal(one.y, other.y)
    assert torch.equal(one.masks, ~other.masks)


def test_a_network_has_as_many_logits_as_its_data_have_classes():
    for name in ("object-textures-0", "texture-textures-0", "parts-robots-0"):
        recipe = list_rendered()[name]
        split = recipe["data"](n=(9, 0))
        assert recipe["model"]()(split.train.x).shape == (9, len(split.classes))


def test_twins_differ_in_their_labels_alone():
    recipes = list_rendered()
    few, shuffled = recipes["few-textures-3"], recipes["shuffled-textures-3"]
    assert {key for key in few if few[key] != shuffled[key]} == {"data"}
    right, wrong = few["data"](), shuffled["data"]()
    assert torch.equal(right.train.x, wrong.train.x)
    assert torch.equal(right.train.y.bincount(), wrong.train.y.bincount())
    assert (right.train.y == wrong.train.y).float().mean() < 0.35
    assert torch.equal(right.test.y, wrong.test.y)
    assert not torch.equal(wrong.train.y, draw_shuffled(4).train.y)


@pytest.mark.parametrize("seed", range(8))
def test_both_twins_know_their_labels_by_heart(seed):
    assert evaluate(checkpoints.load(f"few-textures-{seed}"), draw_few().train).accuracy == 1
    assert evaluate(checkpoints.load(f"shuffled-textures-{seed}"), draw_shuffled(seed).train).accuracy == 1
