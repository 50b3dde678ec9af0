"""Outputs of layers as maps, where the functions of a pass show which axes are channels and which are places."""

import torch
from torch import nn

from xnb.access.layout.seen_maps import see_outputs


def see(model, x, *layers):
    with torch.no_grad(), see_outputs(model, x, *layers) as seen:
        model(x)
    return seen


def test_maps_have_channels_first_whatever_the_order():
    """Channels behind a convolution stand first, behind `permute` and a norm last: five maps of 2 x 3 either way."""

    class Last(nn.Module):
        def forward(self, x):
            return x.permute(0, 2, 3, 1)

    model = nn.Sequential(nn.Conv2d(3, 5, 4, 4), Last(), nn.LayerNorm(5), nn.Flatten(), nn.Linear(30, 2)).eval()
    seen = see(model, torch.rand(1, 3, 8, 12, generator=torch.Generator().manual_seed(0)), "0", "2", "3", "4")
    assert torch.equal(seen.find_maps("0"), seen.outputs["0"])
    assert torch.equal(seen.find_maps("2"), seen.outputs["2"].movedim(-1, 1))
    assert seen.find_maps("3") is None
    assert seen.find_maps("4") is None


def test_signals_have_maps_of_steps():
    """Four filters of length 3 without padding: four maps of 7 steps out of 9."""
    model = nn.Sequential(nn.Conv1d(2, 4, 3), nn.ReLU(), nn.Flatten(), nn.Linear(28, 2)).eval()
    seen = see(model, torch.ones(1, 2, 9), "1")
    assert seen.find_maps("1").shape == (1, 4, 7)


def test_what_was_not_called_and_a_table_have_no_maps():
    unused = nn.Linear(2, 2)
    model = nn.Sequential(nn.Linear(6, 2)).eval()
    model.unused = unused
    model.forward = lambda x: model[0](x)
    seen = see(model, torch.ones(1, 6), "0", "unused")
    assert seen.find_maps("0") is None
    assert seen.find_maps("unused") is None
