"""Occlusion of signals, pictures and volumes: windows as they are asked for, against sums in closed form."""

import itertools

import pytest
import torch
from torch import nn
from torch.nn import functional as F

from xnb import attribute, progress
from xnb.access.rows import follow_rows
from xnb.methods.occlusion import default_window


def draw(*shape):
    return torch.randn(*shape, generator=torch.Generator().manual_seed(0)).double()


def squared(x):
    """Two scores: the sum of squares, and its opposite. A window at the baseline 0 costs the squares in it."""
    total = x.square().flatten(1).sum(1)
    return torch.stack([total, -total], 1)


def places_of(shape):
    """Named, as nothing that `squared` does tells signals from tokens."""
    return tuple(range(2, len(shape)))


SIGNAL, PICTURE, VOLUME = (2, 3, 11), (2, 2, 12, 20), (2, 2, 5, 6, 7)
ASKED = [
    (SIGNAL, 4, 2),
    (SIGNAL, (5,), None),
    (PICTURE, (12, 20), None),
    (PICTURE, (3, 7), (2, 7)),
    (PICTURE, 5, None),
    (VOLUME, (2, 3, 7), (2, 1, 3)),
    (VOLUME, 4, (3, 4, 4)),
    ((2, 1, 1, 30), (1, 8), None),
    ((2, 2, 3, 2, 3, 2), 2, 1),
]


@pytest.mark.parametrize(("shape", "window", "stride"), ASKED)
def test_mean_of_the_squares_in_the_windows_over_each_place(shape, window, stride):
    """f = sum x^2 loses what a window covers: a place gets the mean, over windows that hold it, of their sums."""
    x = draw(*shape)
    places = shape[2:]
    sizes = (window,) * len(places) if isinstance(window, int) else window
    steps = sizes if stride is None else (stride,) * len(places) if isinstance(stride, int) else stride
    starts = [sorted({*range(0, n - size, step), n - size}) for n, size, step in zip(places, sizes, steps, strict=True)]
    total, count = torch.zeros(2, *places).double(), torch.zeros(places).double()
    for corner in itertools.product(*starts):
        block = (..., *(slice(c, c + size) for c, size in zip(corner, sizes, strict=True)))
        total[block] += x.square().sum(1)[block].flatten(1).sum(1).view(2, *[1] * len(places))
        count[block] += 1
    knobs = {"window": window, "stride": stride, "units": places_of(shape)}
    found = attribute(squared, x, 0, "occlusion", **knobs)
    torch.testing.assert_close(found, (total / count)[:, None])
    torch.testing.assert_close(attribute(squared, x, 0, "occlusion", chunk=1, **knobs), found)


@pytest.mark.parametrize(
    ("shape", "window"),
    [
        ((3, 32, 32), (4, 4)),
        ((3, 6, 6), (4, 4)),
        ((1, 2, 3), (2, 3)),
        ((1, 27, 33), (4, 4)),
        ((3, 224, 224), (28, 28)),
        ((3, 224, 320), (28, 40)),
        ((1, 1, 200), (1, 4)),
        ((1, 200), (4,)),
        ((12, 5000), (78,)),
        ((1, 12, 16, 16), (4, 4, 4)),
        ((1, 64, 64, 64), (16, 16, 16)),
    ],
)
def test_a_window_is_a_share_of_the_side(shape, window):
    x = torch.zeros(2, *shape)
    units = places_of(x.shape)
    assert default_window(x, units) == window
    found = attribute(squared, x[:1] + 1, 0, "occlusion", units=units)
    asked = attribute(squared, x[:1] + 1, 0, "occlusion", window=window, stride=window, units=units)
    torch.testing.assert_close(found, asked)


@pytest.mark.parametrize(("tokens", "window"), [(1, 1), (7, 1), (64, 1), (200, 3)])
def test_a_window_is_a_token_and_of_many_some(tokens, window):
    assert default_window(torch.zeros(2, tokens, 9), (1,)) == (window,)


@pytest.mark.parametrize(
    ("shape", "knobs"),
    [
        ((2, 8), {}),
        (SIGNAL, {"window": 12}),
        (PICTURE, {"window": 13}),
        (PICTURE, {"window": (12, 21)}),
        (PICTURE, {"window": (3,)}),
        (PICTURE, {"window": 0}),
        (PICTURE, {"window": 5, "stride": (5, 6)}),
        (VOLUME, {"window": (5, 6, 7), "stride": 6}),
        (VOLUME, {"stride": 0}),
        ((2, 1, 1, 30), {"window": 4}),
    ],
)
def test_the_way_out_of_a_refusal_works(shape, knobs):
    x = draw(*shape)
    units = places_of(shape) or None

    def model(z):  # takes inputs of this shape alone
        return squared(z.view(-1, *shape[1:])) if z.ndim == len(shape) else z.broadcast_to(shape)

    with pytest.raises(ValueError, match="occlusion: ") as refusal:
        attribute(model, x, 0, "occlusion", units=units, **knobs)
    hint = str(refusal.value).split("try: ")[1]
    names = {"xnb": __import__("xnb"), "model": model, "x": x, "target": 0, "attribute": attribute}
    if "attribute(" in hint:
        assert eval(hint, names).shape == x.shape
    else:
        call = f"attribute(model, x, 0, 'occlusion', units={units}, **{{**{knobs}, **dict({hint})}})"
        assert eval(call, names).ndim == x.ndim


def test_many_windows_are_announced_with_fewer_that_do(monkeypatch, capfd):
    monkeypatch.setattr(progress, "PATIENCE_SECONDS", 60.0)
    attribute(squared, torch.ones(1, 1, 64, 64), 0, "occlusion", window=2)
    assert capfd.readouterr().err == "occlusion: 1,025 passes of 1 input; try window=8, stride=8\n"
    attribute(squared, torch.ones(2, 1, 12, 1100), 0, "occlusion", window=(12, 1))
    assert capfd.readouterr().err.endswith("1,101 passes of each of 2 inputs; try window=(4, 137), stride=(4, 137)\n")
    attribute(squared, torch.ones(1, 1, 62, 62), 0, "occlusion", window=2)
    assert capfd.readouterr().err == ""


class Gated(nn.Module):
    """A convolution, and a number for each input; `repeated` is written by one who knows how methods repeat inputs."""

    def __init__(self, gates, repeated):
        super().__init__()
        self.gates, self.repeated = gates, repeated
        self.convolution = nn.Conv2d(1, 2, 3).double()

    def forward(self, x):
        repeats = len(x) // len(self.gates)
        gates = self.gates.repeat(repeats) if self.repeated else follow_rows(self.gates, len(x), "gates")
        return F.relu(self.convolution(x)).mean((2, 3)) * gates[:, None]


@pytest.mark.parametrize("repeated", [False, True])
@pytest.mark.parametrize("window", [2, 8])
def test_what_belongs_to_an_input_goes_along(window, repeated):
    """A gate of 1 and one of 10: the maps are 1 and 10 times those without, in crops and in full passes alike."""
    x, gates = draw(2, 1, 12, 12), torch.tensor([1.0, 10.0]).double()
    model = Gated(gates, repeated).eval()
    found = attribute(model, x, 0, "occlusion", window=window, chunk=72)
    model.gates, model.repeated = torch.ones(1).double(), False
    torch.testing.assert_close(found, gates.view(2, 1, 1, 1) * attribute(model, x, 0, "occlusion", window=window))


@pytest.mark.parametrize("shape", [SIGNAL, PICTURE, VOLUME])
def test_no_inputs_have_no_maps(shape):
    found = attribute(squared, torch.zeros(0, *shape[1:]), torch.zeros(0).long(), "occlusion", units=places_of(shape))
    assert found.shape == (0, 1, *shape[2:])
