"""Two networks learn the same pictures by two label sets; robots have nine classes."""

import torch

from xnb.training.rendered_recipes import list_rendered


def test_four_trainings_of_each_kind():
    recipes = list_rendered()
    assert len(recipes) == 12
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
