"""Weights come back from disk as they were, into the architecture that they belong to."""

import pytest
import torch
from torch import nn

from xnb.storage import load_weights, read_tensors, write_tensors


def test_round_trip(tmp_path):
    path = tmp_path / "deep" / "net.safetensors"
    write_tensors(path, {"a": torch.arange(3)}, {"seed": 0, "accuracy": 0.5})
    tensors, facts = read_tensors(path)
    assert torch.equal(tensors["a"], torch.arange(3))
    assert facts == {"seed": 0, "accuracy": 0.5}
    assert [file.name for file in path.parent.iterdir()] == ["net.safetensors"]


def test_same_weights_same_bytes(tmp_path):
    for name in ("a", "b"):
        write_tensors(tmp_path / name, {"w": torch.ones(2), "v": torch.zeros(3)}, {"y": 1, "x": 2})
    assert (tmp_path / "a").read_bytes() == (tmp_path / "b").read_bytes()


def test_load_fills_the_model(tmp_path):
    one, other = nn.Linear(2, 3), nn.Linear(2, 3)
    write_tensors(tmp_path / "w", one.state_dict(), {})
    load_weights(other, tmp_path / "w")
    assert torch.equal(one.weight, other.weight)


def test_refusals(tmp_path):
    net = nn.Linear(2, 3)
    write_tensors(tmp_path / "w", net.state_dict(), {})
    before = {name: value.clone() for name, value in net.state_dict().items()}
    with pytest.raises(ValueError, match=r"another architecture\n  got: \['weight'\]"):
        load_weights(nn.Linear(3, 3), tmp_path / "w")
    with pytest.raises(ValueError, match="no such file"):
        load_weights(net, tmp_path / "nothing")
    (tmp_path / "w").write_bytes((tmp_path / "w").read_bytes()[:-8])
    with pytest.raises(ValueError, match="damaged"):
        load_weights(net, tmp_path / "w")
    assert all(torch.equal(before[name], value) for name, value in net.state_dict().items())
