"""Class activation maps of any layout: behind GAP and one linear layer relu(sum_d W[t, d] A_d) / places, to 1e-12.

Tests: xnb.access.layout.map_layout.
"""

import pytest
import torch
from networks import with_seed
from torch import nn
from torchvision.models import VisionTransformer
from torchvision.models.swin_transformer import SwinTransformer

from xnb import attribute, explain
from xnb.access.layout.layer_maps import find_layer
from xnb.check import PromiseWarning
from xnb.methods.cam import grad_cam, grad_cam_plus_plus, hires_cam, layer_cam
from xnb.methods.cam_by_channel import ablation_cam, score_cam

EVERY = (grad_cam, hires_cam, grad_cam_plus_plus, layer_cam, score_cam, ablation_cam)
CLOSE = {"rtol": 1e-9, "atol": 1e-12}


class Apply(nn.Module):
    def __init__(self, f):
        super().__init__()
        self.f = f

    def forward(self, x):
        return self.f(x)


class Net(nn.Module):
    """A stem, what makes the maps, a mean over `axes` and a linear layer."""

    def __init__(self, *stem, axes, width):
        super().__init__()
        self.stem, self.axes, self.head = nn.Sequential(*stem), axes, nn.Linear(width, 3)

    def forward(self, x):
        return self.head(self.stem(x).mean(self.axes))


def swap(*order):
    return Apply(lambda x: x.permute(*order))


def last(*stem, axes=(1, 2), width=8):
    """Channels last behind a convolution."""
    return Net(*stem, swap(0, 2, 3, 1), nn.LayerNorm(width), nn.Linear(width, width), nn.GELU(), axes=axes, width=width)


def attend():
    return nn.TransformerEncoderLayer(8, 2, 16, batch_first=True)


# network, shape of the inputs, the layer that should be found, how its output becomes (B, D, *places of the map)
CASES = {
    "signal": (lambda: Net(nn.Conv1d(2, 5, 3), nn.ReLU(), axes=2, width=5), (4, 2, 20), "stem", lambda a: a),
    "volume": (
        lambda: Net(nn.Conv3d(1, 5, 3), nn.ReLU(), axes=(2, 3, 4), width=5),
        (2, 1, 6, 7, 8),
        "stem",
        lambda a: a,
    ),
    "channels last": (lambda: last(nn.Conv2d(3, 8, 2, 2)), (2, 3, 8, 12), "stem", lambda a: a.permute(0, 3, 1, 2)),
    "as many channels as rows and columns": (
        lambda: last(nn.Conv2d(3, 8, 2, 2)),
        (2, 3, 16, 16),
        "stem",
        lambda a: a.permute(0, 3, 1, 2),
    ),
    "rows and columns exchanged": (
        lambda: Net(swap(0, 1, 3, 2), nn.Conv2d(3, 8, 3), nn.ReLU(), axes=(2, 3), width=8),
        (2, 3, 9, 9),
        "stem",
        lambda a: a.transpose(2, 3),
    ),
    "tokens": (
        lambda: Net(nn.Conv2d(3, 8, 2, 2), nn.Flatten(2), swap(0, 2, 1), attend(), axes=1, width=8),
        (2, 3, 8, 12),
        "stem",
        lambda a: a.transpose(1, 2).unflatten(2, (4, 6)),
    ),
    "sequence": (
        lambda: Net(nn.Linear(5, 8), attend(), axes=1, width=8),
        (3, 6, 5),
        "stem",
        lambda a: a.transpose(1, 2),
    ),
    "recurrence": (
        lambda: Net(nn.LSTM(5, 8, batch_first=True), Apply(lambda out: out[0]), axes=1, width=8),
        (3, 6, 5),
        "stem",
        lambda a: a.transpose(1, 2),
    ),
    "pictures with channels last": (
        lambda: Net(swap(0, 3, 1, 2), nn.Conv2d(3, 8, 3), nn.ReLU(), axes=(2, 3), width=8),
        (2, 8, 9, 3),
        "stem",
        lambda a: a,
    ),
}


def make(name):
    build, shape, layer, arrange = CASES[name]
    model = with_seed(build).double().eval()
    x = torch.randn(shape, dtype=torch.double, generator=torch.Generator().manual_seed(1))
    return model, x, torch.arange(len(x)) % 3, layer, arrange


def tap(model, layer, x):
    outputs = []
    handle = model.get_submodule(layer).register_forward_hook(lambda module, args, out: outputs.append(out.detach()))
    model(x)
    handle.remove()
    return outputs[0]


def closed_form(maps, weight):
    """relu of the maps' sum, each times its weight, over the number of places."""
    shares = torch.einsum("bd...,bd->b...", maps, weight.detach())
    return shares.relu() / maps[0, 0].numel()


@pytest.mark.parametrize("name", CASES)
def test_is_the_class_activation_map(name):
    model, x, target, layer, arrange = make(name)
    assert find_layer(model, x) == layer
    expected = closed_form(arrange(tap(model, layer, x)), model.head.weight[target])
    for method in (grad_cam, hires_cam):
        found = method(model, x, target, resize=False)
        assert found.ndim == x.ndim
        torch.testing.assert_close(found.flatten(1), expected.flatten(1), **CLOSE)
    assert grad_cam(model, x, target).expand(x.shape).shape == x.shape


@pytest.mark.parametrize("method", EVERY, ids=lambda method: method.__name__)
@pytest.mark.parametrize("name", ["channels last", "tokens"])
def test_equals_the_same_network_with_channels_first(name, method):
    """A copy of the network turns the maps to (B, D, h, w) and back: there the layout is plain."""
    model, x, target, _, arrange = make(name)

    class Turned(nn.Module):
        def __init__(self):
            super().__init__()
            self.model, self.maps = model, nn.ReLU6()
            self.maps.forward = lambda maps: maps

        def forward(self, x):
            maps = self.maps(arrange(model.stem(x)))
            return model.head(maps.mean((2, 3)))

    expected = method(Turned().eval(), x, target, layer="maps", layout="channels_first")
    torch.testing.assert_close(method(model, x, target), expected, **CLOSE)


@pytest.mark.parametrize("layout", ["channels_last", lambda out: out.movedim(-1, 1).contiguous()])
@pytest.mark.parametrize("method", EVERY, ids=lambda method: method.__name__)
def test_a_given_layout_is_the_found_one(method, layout):
    model, x, target, _, _ = make("channels last")
    torch.testing.assert_close(method(model, x, target, layout=layout), method(model, x, target), **CLOSE)


@pytest.mark.parametrize("layer", ["stem.0", "stem.2", "stem.3", "stem.4"])
def test_every_layer_of_a_network_that_alternates(layer):
    model, x, target, _, _ = make("channels last")
    layout = "channels_first" if layer == "stem.0" else "channels_last"
    found = hires_cam(model, x, target, layer=layer, signed=True)
    torch.testing.assert_close(found, hires_cam(model, x, target, layer=layer, layout=layout, signed=True), **CLOSE)


def swin():
    return SwinTransformer([2, 2], 8, [2, 2], [2, 2], [4, 4], num_classes=3)


def test_swin():
    """Shifted windows between: 4 x 6 places at the end, the stages channels last, what pooling sees channels first."""
    model = with_seed(swin).double().eval()
    x = torch.randn(2, 3, 16, 24, dtype=torch.double, generator=torch.Generator().manual_seed(1))
    target = torch.tensor([0, 2])
    assert find_layer(model, x) == "permute"
    expected = closed_form(tap(model, "permute", x), model.head.weight[target])
    for layer in (None, "norm"):
        found = grad_cam(model, x, target, layer=layer, resize=False)
        torch.testing.assert_close(found[:, 0], expected, **CLOSE)
    for layer in ("features", "features.3.1", "features.1.1.attn", "features.2", "features.1"):
        found = hires_cam(model, x, target, layer=layer, signed=True)
        expected = hires_cam(model, x, target, layer=layer, layout="channels_last", signed=True)
        torch.testing.assert_close(found, expected, **CLOSE)


def vit():
    model = VisionTransformer(16, 4, 2, 1, 8, 8, num_classes=3)
    nn.init.normal_(model.heads.head.weight)
    return model


def test_a_vision_transformer_is_seen_where_patches_are_last_read():
    """Behind the last attention the class token alone is read: the layer is the norm that enters it."""
    model = with_seed(vit).double().eval()
    x = torch.randn(2, 3, 16, 16, dtype=torch.double, generator=torch.Generator().manual_seed(1))
    layer = "encoder.layers.encoder_layer_1.ln_1"
    assert find_layer(model, x) == layer
    found = grad_cam(model, x, torch.tensor([0, 2]), resize=False)
    by_hand = lambda out: out[:, 1:].transpose(1, 2).reshape(len(out), 8, 4, 4)  # noqa: E731
    expected = grad_cam(model, x, torch.tensor([0, 2]), layer=layer, layout=by_hand, resize=False)
    torch.testing.assert_close(found, expected, **CLOSE)
    assert (found > 0).any()
    with pytest.warns(PromiseWarning, match="no place of 'encoder' has a share"):
        grad_cam(model, x, torch.tensor([0, 2]), layer="encoder")


def test_a_module_names_its_layer():
    model, x, target, _, _ = make("signal")
    assert torch.equal(grad_cam(model, x, target, layer=model.stem[0]), grad_cam(model, x, target, layer="stem.0"))
    with pytest.raises(ValueError, match="layer: must be a module of the model, or its name\n  got: 'ReLU'"):
        grad_cam(model, x, target, layer=nn.ReLU())


def test_the_ledger_is_told_the_layer():
    from xnb.access.ledger import collect_notes

    model, x, target, _, _ = make("channels last")
    with collect_notes() as notes:
        attribute(model, x, target, "grad_cam")
    assert notes["layer"] == "stem"


def test_explain_gives_the_same_maps():
    model, x, target, _, _ = make("channels last")
    knobs = {"hires_cam": {"layer": model.stem[3]}}
    found = explain(model, x, target, ["gradient", "grad_cam", "hires_cam"], knobs=knobs).attributions
    torch.testing.assert_close(found["grad_cam"], grad_cam(model, x, target), **CLOSE)
    torch.testing.assert_close(found["hires_cam"], hires_cam(model, x, target, layer="stem.3"), **CLOSE)


def test_a_map_that_is_zero_everywhere_says_so():
    """All weights negative: every share speaks against the class, and the signed map is minus that of the opposite."""
    model, x, target, _, _ = make("signal")
    model.head.weight.data.abs_().neg_()
    with pytest.warns(
        PromiseWarning, match=r"zero everywhere, as every place of 'stem' .*\n.*0, 1, 2, 3.*\n  try: sig"
    ):
        assert not grad_cam(model, x, target).any()
    signed = grad_cam(model, x, target, signed=True)
    model.head.weight.data.neg_()
    torch.testing.assert_close(signed, -grad_cam(model, x, target), **CLOSE)


class TestRefusals:
    class TimeFirst(nn.Module):
        def __init__(self):
            super().__init__()
            self.map, self.norm, self.head = nn.Linear(5, 8), nn.LayerNorm(8), nn.Linear(8, 3)

        def forward(self, x):
            return self.head(self.norm(self.map(x.transpose(0, 1))).mean(0))

    class Bags(nn.Module):
        def __init__(self):
            super().__init__()
            self.maps, self.head = nn.Conv2d(3, 8, 3), nn.Linear(8, 3)

        def forward(self, x):
            return self.head(self.maps(x.flatten(0, 1)).mean((2, 3))).unflatten(0, x.shape[:2]).mean(1)

    @pytest.mark.parametrize("layout", [None, "channels_last"])
    @pytest.mark.parametrize("steps", [4, 6])
    def test_time_first(self, steps, layout):
        """With as many steps as inputs, too: each row of the layer is one step of all inputs."""
        model, x = with_seed(self.TimeFirst).eval(), torch.randn(4, steps, 5)
        with pytest.raises(ValueError, match=r"'norm' must return (a tensor with )?one row(.|\n)*try: xnb.attr"):
            grad_cam(model, x, torch.zeros(4, dtype=torch.long), layer="norm", layout=layout)
        with pytest.raises(ValueError, match="no module of the model is known to return maps"):
            grad_cam(model, x, torch.zeros(4, dtype=torch.long))

    @pytest.mark.parametrize("inputs", [1, 2])
    def test_bags(self, inputs):
        model, x = with_seed(self.Bags).eval(), torch.randn(inputs, 4, 3, 8, 8)
        with pytest.raises(ValueError, match="layer: 'maps' must return a tensor with one row an input"):
            grad_cam(model, x, torch.zeros(inputs, dtype=torch.long), layer="maps")

    def test_places_that_were_turned(self):
        """The `try:` line is a knob that runs."""
        build = lambda: Net(nn.Conv2d(3, 8, 3), Apply(lambda a: a.flip(3)), nn.ReLU(), axes=(2, 3), width=8)  # noqa: E731
        model, x, target = with_seed(build).eval(), torch.randn(2, 3, 8, 8), torch.tensor([0, 1])
        with pytest.raises(ValueError, match=r'where on x its places lie.*\n.*\n  try: layout="channels_first"'):
            grad_cam(model, x, target, layer="stem.2")
        assert grad_cam(model, x, target, layer="stem.2", layout="channels_first").shape == (2, 1, 8, 8)

    def test_a_layout_that_computes(self):
        model, x, target, _, _ = make("channels last")
        with pytest.raises(ValueError, match="layout: must move values or leave some out"):
            grad_cam(model, x, target, layout=lambda out: out.movedim(-1, 1) / 2)
        with pytest.raises(ValueError, match=r"layout: must return maps \(B, D, 2 axes of places\)"):
            grad_cam(model, x, target, layout=lambda out: out.flatten(1))
        with pytest.raises(ValueError, match="layout: must be known\n  got: 'last'"):
            grad_cam(model, x, target, layout="last")
