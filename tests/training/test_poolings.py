"""A stored network is the one of its checkpoint; another is trained once, and read when asked for again.

Tests: xnb.training.poolings
"""

import pytest
import torch

from xnb import checkpoints, data
from xnb.training.poolings import load_pooling


def weights(net):
    return torch.cat([p.detach().flatten() for p in net.parameters()])


@pytest.mark.parametrize(
    ("task", "knobs", "stored"),
    [("single_positive", {}, "mean-single_positive-3"), ("shapes", {"reach": 2}, "mean2-shapes-3")],
)
def test_stored_networks_are_the_checkpoints(task, knobs, stored):
    split = data.shapes(n=(1, 1))  # which is not looked at
    found = load_pooling("mean", task, 3, split=split, **knobs)
    assert torch.equal(weights(found), weights(checkpoints.load(stored)))


def test_others_are_trained_once(tmp_path, monkeypatch):
    monkeypatch.setenv("XNB_CACHE", str(tmp_path))
    split = data.shapes(n=(48, 12))
    before = torch.get_rng_state()
    found = load_pooling("attention", "mine", 0, split=split, reach=0, epochs=1)
    assert torch.equal(torch.get_rng_state(), before)
    assert not found.training
    [folder] = (tmp_path / "trainings").iterdir()
    assert folder.name == "attention0-mine-0"
    written = {path: path.stat().st_mtime_ns for path in folder.iterdir()}
    again = load_pooling("attention", "mine", 0, split=split, reach=0, epochs=1)
    assert torch.equal(weights(found), weights(again))
    assert written == {path: path.stat().st_mtime_ns for path in folder.iterdir()}
    other = load_pooling("attention", "mine", 1, split=split, reach=0, epochs=1)
    assert not torch.equal(weights(found), weights(other))
