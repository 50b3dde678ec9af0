"""What the search for a layer saw is handed on where one input shows it; `methods/test_cam_maps` has what it finds."""

import pytest
import torch
from networks import with_seed
from torch import nn

from xnb.access.layout.axis_watch import AxisWatch
from xnb.access.layout.layer_maps import find_layer, find_layer_and_axes
from xnb.methods.cam import grad_cam, layer_cam
from xnb.methods.cam_by_channel import ablation_cam, score_cam

METHODS = (grad_cam, layer_cam, score_cam, ablation_cam)


class Exchange(nn.Module):
    """Batch and channels change places in memory, while the shape stays."""

    def forward(self, x):
        return x.transpose(0, 1).reshape(x.shape)


class Back(nn.Module):
    def forward(self, x):
        return x.reshape(*x.shape[:2][::-1], *x.shape[2:]).transpose(0, 1)


class ChannelsLast(nn.Module):
    def forward(self, x):
        return x.permute(0, 2, 3, 1)


class Net(nn.Module):
    def __init__(self, *stem, behind=None, axes=(2, 3)):
        super().__init__()
        self.stem, self.behind, self.axes = nn.Sequential(*stem), behind or nn.Identity(), axes
        self.head = nn.Linear(8, 3)

    def forward(self, x):
        return self.head(self.behind(self.stem(x).mean(self.axes)))


def make(kind):
    """The last layer with maps of each is `stem`."""
    conv = nn.Conv2d(3, 8, 3)
    if kind == "exchanged":
        return Net(conv, Exchange(), nn.ReLU(), behind=Back())
    if kind == "channels last":
        return Net(conv, nn.ReLU(), ChannelsLast(), axes=(1, 2))
    return Net(conv, nn.BatchNorm2d(8), nn.ReLU())


@pytest.fixture
def pictures():
    return torch.randn(2, 3, 8, 8, generator=torch.Generator().manual_seed(1))


@pytest.mark.parametrize(("kind", "watches"), [("plain", 1), ("channels last", 2)])
@pytest.mark.parametrize("method", METHODS, ids=lambda method: method.__name__)
def test_the_model_is_watched_again_only_where_inputs_may_mix(method, kind, watches, pictures, monkeypatch):
    """A permutation can exchange inputs, which one input does not show."""
    started = []
    start = AxisWatch.start
    monkeypatch.setattr(AxisWatch, "start", lambda watch, x: started.append(len(x)) or start(watch, x))
    method(with_seed(lambda: make(kind)), pictures, torch.tensor([0, 1]))
    assert started == [1, 2][:watches]


@pytest.mark.parametrize("method", METHODS, ids=lambda method: method.__name__)
def test_what_was_handed_on_is_what_the_layer_shows(method, pictures):
    model, target = with_seed(lambda: make("plain")), torch.tensor([0, 1])
    assert torch.equal(method(model, pictures, target), method(model, pictures, target, layer="stem"))


def test_inputs_that_are_mixed_at_the_layer(pictures):
    """Of one input there is nothing to see, and nothing wrong."""
    model, target = with_seed(lambda: make("exchanged")), torch.tensor([0, 1])
    for method in (grad_cam, layer_cam, score_cam):
        with pytest.raises(ValueError, match="'stem' must return one row for each input, in their order"):
            method(model, pictures, target)
        assert method(model, pictures[:1], target[:1]).shape == (1, 1, 8, 8)
    with pytest.raises(ValueError, match="from 'stem' on the model must say the same again"):
        ablation_cam(model, pictures, target)


def test_a_named_layer_was_not_seen(pictures):
    assert find_layer_and_axes(make("plain").eval(), pictures, "stem.0") == ("stem.0", None)


class Twice(nn.Module):
    """Its last maps come from a layer that is called again on something else."""

    def __init__(self):
        super().__init__()
        self.first, self.again, self.head = nn.Conv2d(3, 8, 3), nn.ReLU(), nn.Linear(8, 3)

    def forward(self, x):
        maps = self.again(self.first(x))
        return self.head(self.again(maps.mean((2, 3))))


def test_a_layer_that_is_called_again_on_a_vector_is_passed_over(pictures):
    """It is refused by name, so that it must not be found either."""
    assert find_layer(with_seed(Twice), pictures) == "first"
