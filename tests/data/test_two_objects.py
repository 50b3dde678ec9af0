"""Two objects in one picture: each as it was, and no window sees both."""

import pytest
import torch
from torch.nn import functional as F

from xnb import data
from xnb.data.two_objects import join_halves, paste_objects


@pytest.fixture(scope="module")
def part():
    return data.shapes(n=(0, 60), seed=3).test


def test_no_window_of_that_side_holds_both(part):
    pairs = paste_objects(part, apart=8)
    assert len(pairs) > 10
    padded = F.pad(pairs.masks.flatten(0, 1).float(), (7, 7, 7, 7))
    seen = F.max_pool2d(padded, 8, stride=1).view(2, len(pairs), -1)
    assert (seen[0] * seen[1]).max() == 0


def test_every_pair_that_far_apart_is_found(part):
    few = part[:18]
    pairs = paste_objects(few, apart=5)
    found = {tuple(pair) for pair in pairs.sources.T.tolist()}
    expected = set()
    for i in range(18):
        for j in range(18):
            places = [few.masks[k, 0].nonzero() for k in (i, j)]
            distance = (places[0][:, None] - places[1]).abs().amax(2).min()
            if few.y[i] != few.y[j] and distance >= 5:
                expected.add((i, j))
    assert found == expected
    assert expected


def test_both_objects_are_as_they_were(part):
    pairs = paste_objects(part)
    for k in (0, 1):
        source = part[pairs.sources[k]]
        assert torch.equal(pairs.y[k], source.y)
        assert torch.equal(pairs.masks[k], source.masks)
        assert torch.equal(pairs.x * pairs.masks[k], source.x * source.masks)
    background = ~pairs.masks[1]
    assert torch.equal(pairs.x * background, part.x[pairs.sources[0]] * background)
    assert (pairs.y[0] != pairs.y[1]).all()


def test_disjoint_pairs_share_no_picture(part):
    pairs = paste_objects(part).pick_disjoint(5)
    assert len(pairs) == 5
    assert len(pairs.sources.unique()) == 10


def test_halves_are_the_middles(part):
    pairs = join_halves(part, seed=1)
    assert len(pairs.sources.unique()) == 2 * len(pairs)
    assert torch.equal(pairs.x[..., :16], part.x[pairs.sources[0]][..., 8:24])
    assert torch.equal(pairs.x[..., 16:], part.x[pairs.sources[1]][..., 8:24])
    assert pairs.masks[0, ..., :16].all()
    assert torch.equal(pairs.masks[0], ~pairs.masks[1])
    assert torch.equal(join_halves(part, seed=1).sources, pairs.sources)
