"""What `shapes` gives away beside the form of its object, stated and held."""

import numpy as np
import pytest
import torch
from sklearn.ensemble import HistGradientBoostingClassifier

from xnb import data

CHANCE = 1 / 6  # on 1,500 test pictures its standard error is 1 point


@pytest.fixture(scope="module")
def split():
    return data.shapes(n=(3000, 1500))


def accuracy(split, facts):
    model = HistGradientBoostingClassifier(max_iter=40, max_depth=3, random_state=0)
    model.fit(facts(split.train), split.train.y.numpy())
    return model.score(facts(split.test), split.test.y.numpy())


def colour(part):
    """Mean colour of the object, which a network does not even know apart from the background."""
    return ((part.x * part.masks).sum((2, 3)) / part.masks.sum((2, 3))).numpy()


def background(part):
    outside = ~part.masks
    mean = (part.x * outside).sum((2, 3)) / outside.sum((2, 3))
    return torch.cat([mean, ((part.x - mean[:, :, None, None]) ** 2 * outside).mean((2, 3))], 1).numpy()


def whole(part):
    bins = [(part.x.flatten(2) < t).float().mean(2) for t in torch.linspace(0.05, 0.95, 16)]
    return torch.cat([part.x.mean((2, 3)), part.x.std((2, 3)), *bins], 1).numpy()


def place(part):
    rows, columns = part.masks[:, 0].sum(2).numpy(), part.masks[:, 0].sum(1).numpy()
    centre = np.stack([(side * np.arange(32)).sum(1) / side.sum(1) for side in (rows, columns)], 1)
    return np.concatenate([centre, abs(centre - 15.5).max(1, keepdims=True)], 1)


@pytest.mark.parametrize("facts", [colour, background, whole])
def test_colours_tell_nothing(facts, split):
    """Boosted trees, which find what is not linear too, stay within 5 points of chance."""
    assert accuracy(split, facts) < CHANCE + 0.05


def test_place_tells_a_little(split):
    """Known and stated: long forms fit in fewer places. More than chance, less than 32 %."""
    assert CHANCE + 0.03 < accuracy(split, place) < 0.32


def test_a_watermark_is_not_in_the_mask():
    marked, plain = data.shapes(n=(1200, 0), watermark=0.9).train, data.shapes(n=(1200, 0)).train
    assert plain.masks[:, 0, -4:, -4:].any()
    assert not marked.masks[:, 0, -4:, -4:].any()
    plain.masks[:, 0, -4:, -4:] = False
    assert torch.equal(marked.masks, plain.masks)


def test_a_negative_number_of_dots():
    with pytest.raises(ValueError, match="distractors is a number of dots"):
        data.shapes(n=(1, 1), distractors=-1)
