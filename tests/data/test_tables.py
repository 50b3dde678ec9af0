"""Records that scikit-learn ships: all of them, split in a stratified way, scaled by the training part."""

import pytest
import torch
from sklearn.datasets import load_breast_cancer, load_digits
from sklearn.linear_model import LogisticRegression

from xnb import data
from xnb.data.tables import hold_out


def test_digits():
    split = data.digits()
    assert split.train.x.shape == (1297, 1, 8, 8)
    assert split.test.x.shape == (500, 1, 8, 8)
    assert (float(split.train.x.min()), float(split.train.x.max())) == (0, 1)
    assert split.classes == tuple("0123456789")
    assert sorted(map(tuple, torch.cat([split.train.x, split.test.x]).flatten(1).mul(16).long().tolist())) == sorted(
        map(tuple, load_digits().data.astype(int).tolist())
    )
    assert (split.test.y.bincount() - 50).abs().max() <= 2  # stratified


def test_patients_are_scaled_by_the_training_part_alone():
    split = data.patients()
    assert (len(split.train), len(split.test)) == (400, 169)
    assert split.classes == ("malignant", "benign")
    assert split.features == tuple(load_breast_cancer().feature_names)
    torch.testing.assert_close(split.train.x.mean(0), torch.zeros(30), atol=1e-5, rtol=0)
    torch.testing.assert_close(split.train.x.std(0, unbiased=False), torch.ones(30), atol=1e-5, rtol=0)
    assert split.test.x.mean(0).abs().max() > 0.01
    model = LogisticRegression().fit(split.train.x.numpy(), split.train.y.numpy())
    assert model.score(split.test.x.numpy(), split.test.y.numpy()) > 0.95


@pytest.mark.parametrize("make", [data.digits, data.patients])
def test_frozen_and_the_same_every_time(make):
    a, b = make(), make()
    assert torch.equal(a.test.x, b.test.x)
    assert not torch.equal(a.test.x, make(seed=1).test.x)
    with pytest.raises(AttributeError):
        a.train = b.train


def test_what_is_held_out_is_stratified_and_shares_nothing_with_the_rest():
    part = data.patients().train
    rest, chosen = hold_out(part, 100)
    assert (len(rest), len(chosen)) == (300, 100)
    assert sorted(torch.cat([rest.x, chosen.x]).tolist()) == sorted(part.x.tolist())
    assert abs(float(rest.y.double().mean() - chosen.y.double().mean())) < 0.01
    assert torch.equal(chosen.x, hold_out(part, 100)[1].x)
    assert not torch.equal(chosen.x, hold_out(part, 100, seed=1)[1].x)
