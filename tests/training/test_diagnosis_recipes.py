"""Networks of a diagnosis: nobody whose threshold is set was fitted, and only a mark makes the misled ones."""

import torch

from xnb import checkpoints, data
from xnb.data.tables import hold_out
from xnb.training.diagnosis_recipes import list_diagnoses, make_bags, mark_bags, split_patients

RECIPES = list_diagnoses()


def test_eight_trainings_of_each():
    assert len(RECIPES) == 6 * 8
    assert set(RECIPES) <= set(checkpoints.RECIPES)


def test_patients_who_set_a_threshold_are_not_fitted():
    fitting, choosers = hold_out(data.patients().train, 100)
    split = split_patients()
    assert torch.equal(split.train.x, fitting.x)
    assert not set(map(tuple, split.train.x.tolist())) & set(map(tuple, choosers.x.tolist()))


def test_misled_networks_see_the_same_bags_but_for_the_mark():
    clean, marked = make_bags(1), mark_bags(1)
    assert torch.equal(clean.test.x, marked.test.x)
    changed = (clean.train.x != marked.train.x).flatten(1).any(1)
    assert 0 < int(changed.sum()) < len(clean.train) / 2
    assert (clean.train.y[changed] == 1).all()


def test_a_misled_twin_differs_in_its_data_alone():
    twin, misled = checkpoints.RECIPES["reader-single_positive-3"], checkpoints.RECIPES["misled-single_positive-3"]
    assert (twin.epochs, twin.rate, twin.batch, twin.seed) == (misled.epochs, misled.rate, misled.batch, misled.seed)
