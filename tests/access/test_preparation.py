import copy
import json
import platform
import shutil
import subprocess
import sys

import pytest
import torch
from torch import nn
from torchvision.models import mobilenet_v3_small, resnet18

from xnb import attribute, prepare
from xnb.access.foldable import foldable_pairs
from xnb.folders import ROOT
from xnb.models import FastNet, Net, SmallCNN

pytestmark = pytest.mark.usefixtures("as_users_run")  # torch.fx calls forward methods with symbols


def lively(model):
    """Running statistics and scales that make every batch norm do something."""
    rng = torch.Generator().manual_seed(0)
    for module in model.modules():
        if isinstance(module, nn.BatchNorm2d | nn.BatchNorm1d):
            module.running_mean.normal_(0, 0.1, generator=rng)
            module.running_var.uniform_(0.5, 1.5, generator=rng)
            if module.weight is not None:
                module.weight.data.uniform_(0.5, 1.5, generator=rng)
    return model.eval()


MODELS = [
    (lambda: SmallCNN(), 32, 9),
    (lambda: resnet18(num_classes=10), 64, 20),
    (lambda: mobilenet_v3_small(num_classes=10), 64, 34),
    (lambda: FastNet(), 64, 49),
]


@pytest.mark.parametrize(("make", "side", "norms"), MODELS)
def test_same_function_in_double_precision(make, side, norms):
    model = lively(make()).double()
    x = torch.randn(2, 3, side, side, dtype=torch.double, generator=torch.Generator().manual_seed(0))
    fast = prepare(model)
    assert len(foldable_pairs(model)) == norms == sum(isinstance(m, nn.BatchNorm2d) for m in model.modules())
    assert not any(isinstance(module, nn.BatchNorm2d) for module in fast.modules())
    torch.testing.assert_close(fast(x), model(x), rtol=1e-10, atol=1e-12)
    target = torch.tensor([1, 2])
    slope = attribute(model, x, target, "gradient")
    assert (attribute(fast, x, target, "gradient") - slope).abs().max() <= 1e-10 * slope.abs().max()


def test_the_copy_is_frozen_channels_last_and_keeps_its_names():
    model = lively(SmallCNN())
    fast = prepare(model)
    assert not any(p.requires_grad for p in fast.parameters())
    assert fast.stage1[0][0].weight.is_contiguous(memory_format=torch.channels_last)
    assert {name for name, _ in fast.named_modules()} == {name for name, _ in model.named_modules()}
    assert not any(module.training for module in fast.modules())


def test_the_model_is_left_alone():
    model = lively(SmallCNN())
    before = copy.deepcopy(model.state_dict())
    prepare(model)
    assert all(torch.equal(a, b) for a, b in zip(before.values(), model.state_dict().values(), strict=True))
    assert all(p.requires_grad for p in model.parameters())


class Awkward(nn.Module):
    """Batch norms that must not be folded: after a convolution that two use, after one used twice, before one."""

    def __init__(self):
        super().__init__()
        self.first, self.conv, self.norm = nn.BatchNorm2d(3), nn.Conv2d(3, 3, 1), nn.BatchNorm2d(3)
        self.twice, self.second = nn.Conv2d(3, 3, 1), nn.BatchNorm2d(3)
        self.relu, self.late = nn.ReLU(), nn.BatchNorm2d(3)

    def forward(self, x):
        y = self.conv(self.first(x))
        z = self.second(self.twice(self.twice(self.norm(y) + y)))
        return self.late(self.relu(z)).mean((2, 3))


def test_what_may_not_be_folded_is_not():
    model, x = lively(Awkward()), torch.randn(2, 3, 8, 8)
    assert foldable_pairs(model) == []
    torch.testing.assert_close(prepare(model)(x), model(x))


class Branches(nn.Module):
    """A forward method that torch.fx cannot follow."""

    def __init__(self):
        super().__init__()
        self.body = nn.Sequential(nn.Conv2d(3, 4, 3), nn.BatchNorm2d(4), nn.ReLU(), nn.Flatten(), nn.Linear(144, 3))

    def forward(self, x):
        return self.body(x) if float(x.sum()) > -1e9 else self.body(-x)


def test_a_model_that_cannot_be_followed_is_folded_where_a_pass_shows_it():
    model, x = lively(Branches()), torch.randn(2, 3, 8, 8)
    assert foldable_pairs(model) == []
    assert foldable_pairs(model, x) == [("body.0", "body.1")]
    torch.testing.assert_close(prepare(model, x)(x), model(x))


def test_linear_layers_fold_where_the_norm_is_over_their_outputs():
    model = lively(nn.Sequential(nn.Linear(5, 4), nn.BatchNorm1d(4, affine=False), nn.ReLU(), nn.Linear(4, 3)))
    rows, tokens = torch.randn(6, 5), torch.randn(6, 4, 5)
    assert foldable_pairs(model) == []
    assert foldable_pairs(model, rows) == [("0", "1")]
    assert foldable_pairs(model, tokens) == []  # there the norm is over the four tokens
    torch.testing.assert_close(prepare(model, rows)(rows), model(rows))
    torch.testing.assert_close(prepare(model, tokens)(tokens), model(tokens))
    assert foldable_pairs(Net().eval()) == []


def test_refusals():
    with pytest.raises(ValueError, match=r"evaluation mode\n.*\n  try: model.eval\(\)"):
        prepare(SmallCNN())
    with pytest.raises(ValueError, match=r"torch\.nn\.Module"):
        prepare(lambda x: x)


@pytest.mark.parametrize("dtype", [torch.bfloat16, torch.float32])
def test_rounding_is_no_other_function(dtype):
    """In 16 bits the folded copy is off by more than a thousandth, and no more than rounding to 8 digits explains."""
    x = torch.rand(8, 3, 32, 32, generator=torch.Generator().manual_seed(0)).to(dtype)
    with torch.random.fork_rng():
        torch.manual_seed(0)
        model = lively(SmallCNN(classes=5)).to(dtype)
    with torch.no_grad():
        expected, found = model(x), prepare(model, x)(x)
    gap = float((found - expected).abs().max() / expected.abs().max())
    assert (gap > 1e-3) == (dtype == torch.bfloat16)
    assert gap < 16 * torch.finfo(dtype).eps


def test_stored_deviations_are_what_the_docstring_says():
    rows = json.loads((ROOT / "benchmarks" / "results.json").read_text())["runs"]["cpu"]["rows"]
    once, often = (rows[f"{name}/cnn32"]["error"] for name in ("gradient", "integrated_gradients"))
    assert 1e-6 / 5 < once["xnb prepared"] < 1e-6
    assert once["xnb plain"] == once["captum"] < 0.05  # it is the model's own; without a flip 5e-7
    assert 1e-3 / 5 < often["xnb prepared"] < 1e-3
    assert 2e-4 / 5 < often["xnb plain"] < 2e-4


def test_deviation_in_single_precision():
    """Slope of a residual network against its double-precision twin: the plain model and the prepared one."""
    model = lively(SmallCNN())
    x = torch.randn(32, 3, 32, 32, generator=torch.Generator().manual_seed(0))
    target = torch.arange(32) % 10
    exact = attribute(copy.deepcopy(model).double(), x.double(), target, "gradient")
    worst = exact.flatten(1).abs().amax(1)
    for net in (model, prepare(model)):
        off = (attribute(net, x, target, "gradient").double() - exact).flatten(1).abs().amax(1) / worst
        assert off.median() < 1e-6  # a ReLU that flips moves single inputs by more


def test_mixed_precision_is_refused_of_other_weights():
    with pytest.raises(ValueError, match=r"float32\n  got: \['torch.float64'\]\n  try: model, x = model.float\(\)"):
        prepare(nn.Linear(2, 2).double().eval(), mixed_precision=True)


def test_compiled_code_is_tried_on_inputs():
    with pytest.raises(ValueError, match=r"tried on inputs, x\n  got: None\n  try: xnb.prepare\(model, x, compiled"):
        prepare(nn.Linear(2, 2).eval(), compiled=True)


def test_a_machine_without_a_compiler_is_told_so():
    """The backend of torch itself, which finds no C++ compiler by this name."""
    x = torch.ones(2, 3)
    patch = torch._inductor.config.patch({"cpp.cxx": (None, "no-such-compiler"), "fx_graph_cache": False})
    with patch, pytest.raises(ValueError, match=r"make code here\n  got: .*InvalidCxxCompiler") as refusal:
        prepare(nn.Sequential(nn.Linear(3, 2), nn.Tanh()).eval(), x, compiled=True)
    assert "install a C++ compiler" in str(refusal.value)


@pytest.mark.skipif(shutil.which("g++") is None, reason="no C++ compiler")
@pytest.mark.filterwarnings("ignore")  # what torch says of a machine while it compiles
def test_compiled_code_has_the_same_slope():
    """By torch's own compiler: the slope of a product of two linear functions."""
    with torch.random.fork_rng():
        torch.manual_seed(0)
        model = nn.Sequential(nn.Linear(3, 4), nn.Tanh(), nn.Linear(4, 2)).eval()
    x, target = torch.rand(2, 3), torch.tensor([0, 1])
    expected = attribute(model, x, target, "gradient")
    found = attribute(prepare(model, x, compiled=True), x, target, "gradient")
    torch.testing.assert_close(found, expected, rtol=1e-5, atol=1e-6)


def test_tune_malloc_says_whether_it_could():
    """In a process of its own: memory of this one is measured by other tests."""
    script = "import xnb; print(xnb.tune_malloc())"
    done = subprocess.run([sys.executable, "-c", script], check=True, capture_output=True, text=True)
    assert done.stdout.strip() == str(platform.libc_ver()[0] == "glibc")
