"""Methods against their slow twins in tests/reference.py, then against another library.

Slow twins: gradient, gradient_times_input, integrated_gradients, occlusion
Slow twins: edges, random, centre, baseline_distance, constant
Tests: xnb.methods.gradient
"""

import ast
from pathlib import Path

import pytest
import reference
import torch
from torch import nn

from xnb import METHODS, attribute

CLOSE = {"rtol": 1e-10, "atol": 1e-12}


def test_gradients_by_hand(model, x, target):
    for name in ("gradient", "gradient_times_input"):
        expected = getattr(reference, name)(model, x, target)
        torch.testing.assert_close(attribute(model, x, target, name), expected, **CLOSE)


def test_integrated_gradients_converge_to_the_riemann_sum(x, target):
    """With biases the gradient changes along the path: the more steps, the closer."""
    with torch.random.fork_rng():
        torch.manual_seed(0)
        model = nn.Sequential(nn.Conv2d(2, 4, 3), nn.ReLU(), nn.Flatten(), nn.Linear(64, 3)).double().eval()
    slow = reference.integrated_gradients(model, x, target, steps=1000)
    few, many = (attribute(model, x, target, "integrated_gradients", steps=n) - slow for n in (4, 512))
    assert many.abs().max() < 0.2 * few.abs().max()
    assert many.abs().max() < 5e-3 * slow.abs().max()


@pytest.mark.parametrize(("window", "stride"), [(2, 2), (3, 1), (4, 2)])
def test_occlusion_pixel_by_pixel(window, stride, model, x, target):
    expected = reference.occlusion(model, x, target, window=window, stride=stride)
    found = attribute(model, x, target, "occlusion", window=window, stride=stride)
    torch.testing.assert_close(found, expected, **CLOSE)


def test_occlusion_covers_a_border_that_no_stride_reaches(model, x, target):
    """Six pixels in windows of four: the last window moves in, and shares two columns with the first."""
    a = attribute(model, x, target, "occlusion", window=4)
    one = attribute(model, x, target, "occlusion", window=4, stride=2)
    torch.testing.assert_close(a, one)


def test_edges_are_sobel(model, x, target):
    torch.testing.assert_close(attribute(model, x, target, "edges"), reference.edges(x), **CLOSE)


def test_controls(x, model, target):
    assert torch.equal(attribute(model, x, target, "baseline_distance"), x.abs())
    assert torch.equal(attribute(model, x, target, "constant"), torch.ones_like(x))
    bump = attribute(model, x, target, "centre")
    assert bump.shape == (5, 1, 6, 6)
    torch.testing.assert_close(bump, bump.flip(2, 3))
    rows = torch.tensor([-2, -1.2, -0.4, 0.4, 1.2, 2], dtype=torch.double)
    torch.testing.assert_close(bump[0, 0], torch.exp(-(rows[:, None] ** 2) / 2) * torch.exp(-(rows**2) / 2))


def test_random_has_the_moments_of_a_normal():
    x = torch.zeros(2, 3, 100, 100, dtype=torch.double)
    a = attribute(lambda z: z.flatten(1), x, torch.tensor([0, 1]), "random")
    assert abs(float(a.mean())) < 0.02
    assert abs(float(a.std()) - 1) < 0.02
    assert not torch.equal(a, attribute(lambda z: z.flatten(1), x, torch.tensor([0, 1]), "random", seed=1))


def test_integrated_gradients_closed_forms():
    """x1 x2 on the diagonal path gives x1 x2 / 2 each; max(x1, x2) gives everything to the larger one."""
    x = torch.tensor([[3.0, 2.0], [-1.0, 4.0]], dtype=torch.double)
    target = torch.ones(2, dtype=torch.long)
    product = attribute(lambda z: z.prod(1, keepdim=True), x, target, steps=2)
    torch.testing.assert_close(product, x.prod(1, keepdim=True).expand_as(x) / 2, **CLOSE)
    largest = attribute(lambda z: z.amax(1, keepdim=True), x, target, steps=2)
    torch.testing.assert_close(largest, torch.tensor([[3.0, 0.0], [0.0, 4.0]], dtype=torch.double), **CLOSE)


class TestCaptum:
    """Captum 0.9 where conventions meet; it must be installed wherever these tests run."""

    @pytest.fixture(autouse=True)
    def captum(self):
        self.attr = pytest.importorskip("captum.attr")

    def test_gradient(self, model, x, target):
        theirs = self.attr.Saliency(model).attribute(x.clone().requires_grad_(), target=target, abs=False)
        torch.testing.assert_close(attribute(model, x, target, "gradient"), theirs, **CLOSE)

    def test_gradient_times_input(self, model, x, target):
        theirs = self.attr.InputXGradient(model).attribute(x.clone().requires_grad_(), target=target)
        torch.testing.assert_close(attribute(model, x, target, "gradient_times_input"), theirs.detach(), **CLOSE)

    def test_integrated_gradients(self, model, x, target):
        theirs = self.attr.IntegratedGradients(model).attribute(x, target=target, n_steps=32, method="gausslegendre")
        ours = attribute(model, x, target, steps=32)
        torch.testing.assert_close(ours, theirs, rtol=1e-7, atol=1e-9)  # Captum rounds its nodes to float32

    def test_integrated_gradients_with_equal_nodes(self, model, x, target):
        """The midpoints and their weight of 1/32 are exact in float32."""
        theirs = self.attr.IntegratedGradients(model).attribute(x, target=target, n_steps=32, method="riemann_middle")
        ours = attribute(model, x, target, steps=32, quadrature="midpoint")
        assert (ours - theirs).abs().max() <= 1e-10 * theirs.abs().max()

    def test_occlusion(self, model, x, target):
        theirs = self.attr.Occlusion(model).attribute(x, (2, 3, 3), strides=(2, 1, 1), target=target)
        ours = attribute(model, x, target, "occlusion", window=3, stride=1)
        torch.testing.assert_close(ours.expand_as(x).float(), theirs)  # Captum answers float64 in float32


def slow_twins():
    """Methods by test file, from the lines `Slow twins: name, name` of the files' docstrings."""
    for path in sorted(Path(__file__).parent.glob("test_*.py")):
        tree = ast.parse(path.read_text())
        for line in (ast.get_docstring(tree) or "").splitlines():
            if line.startswith("Slow twins: "):
                yield path, line.removeprefix("Slow twins: ").split(", ")


def test_every_method_has_a_slow_twin():
    named = [name for _, names in slow_twins() for name in names]
    for name in METHODS:
        hint = f"compute it slowly in a test of {Path(__file__).parent} and say so in the file's docstring"
        assert name in named, f"{name} has no slow twin: {hint}, in a line `Slow twins: {name}`"
    assert sorted(named) == sorted(METHODS), "a slow twin of no method, or named twice"


def test_files_with_slow_twins_ask_for_the_methods():
    for path, names in slow_twins():
        tree = ast.parse(path.read_text())
        code = "".join(map(ast.unparse, tree.body[1:]))  # without the docstring
        missing = [name for name in names if name not in code]
        assert not missing, f"{path} names {missing} in its docstring alone"


def test_reference_imports_nothing_from_the_methods():
    tree = ast.parse(Path(reference.__file__).read_text())
    names = [ast.unparse(node) for node in ast.walk(tree) if isinstance(node, ast.Import | ast.ImportFrom)]
    assert names
    assert not any("xnb" in name for name in names)


def test_gradient_of_relu_net_is_piecewise_constant(model, x, target):
    """In a ReLU network without bias f(2x) = 2 f(x), so the gradient does not change along a ray."""
    assert isinstance(model[1], nn.ReLU)
    a = attribute(model, x, target, "gradient")
    torch.testing.assert_close(attribute(model, 2 * x, target, "gradient"), a, **CLOSE)
