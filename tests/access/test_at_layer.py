"""A model split at a layer says what the whole model says, and is left as it came.

Tests: xnb.access.suffix.
"""

import pytest
import torch
from torch import nn
from torchvision.models.resnet import BasicBlock, ResNet

from xnb.access.at_layer import activation_and_gradient, layer_activation
from xnb.access.hooks import cut_graph, replace_forward
from xnb.access.layout.layer_maps import find_layer
from xnb.access.ledger import count_passes
from xnb.access.score import score
from xnb.access.suffix import make_suffix, make_suffixes
from xnb.models.cnn import SmallCNN

CLOSE = {"rtol": 1e-12, "atol": 1e-12}


@pytest.fixture
def pictures():
    return torch.randn(2, 3, 16, 16, dtype=torch.double, generator=torch.Generator().manual_seed(1))


def seeded(make):
    with torch.random.fork_rng():
        torch.manual_seed(0)
        return make().double().eval()


def residual():
    return seeded(lambda: SmallCNN(widths=(4, 6, 8)))


def in_place():
    """ReLUs in place and used twice, `out += identity`, batch norms whose output is written into."""
    return seeded(lambda: ResNet(BasicBlock, [1, 1, 1, 1], num_classes=5))


class Odd(nn.Module):
    """All that is no chain around a layer: tuples, a table without a batch axis, functions, a module used twice."""

    def __init__(self):
        super().__init__()
        self.first, self.layer, self.again = nn.Conv2d(3, 4, 3, padding=1), nn.Conv2d(4, 4, 1), nn.Conv2d(4, 4, 1)
        self.pair, self.scale, self.place, self.head = Pair(), Scale(), Place(), nn.Linear(4, 3)

    def forward(self, x):
        x = x.sub_(x.mean())  # writes into its input
        low, high = self.pair(self.again(self.first(x)).tanh())
        y = self.layer(low * self.scale() + self.place())
        return self.head((self.again(y).relu() + high).mul_(x[:, :1]).mean((2, 3)))


class Pair(nn.Module):
    def forward(self, x):
        return x - 1, x + 1


class Scale(nn.Module):
    def forward(self):
        return torch.full((1,), 2.0, dtype=torch.double)


class Place(nn.Module):
    def forward(self):
        return torch.linspace(0, 1, 16, dtype=torch.double).expand(1, 4, 16, 16)


def replaced(model, x, layer, activations):
    """The whole network, with a hook that swaps the layer's output."""
    handle = model.get_submodule(layer).register_forward_hook(lambda *call: activations.clone())
    try:
        return model(x.repeat(len(activations), 1, 1, 1))
    finally:
        handle.remove()


CASES = [
    *((residual, name) for name in ("stage1.0.0", "stage2.1.conv1", "stage2.1.norm2", "stage2.1", "stage3", "pool")),
    *((in_place, name) for name in ("bn1", "layer1.0.bn2", "layer2.0.downsample", "layer2.0.conv2", "layer4")),
    (lambda: seeded(Odd), "layer"),
]


@pytest.mark.parametrize(("make", "layer"), CASES)
@torch.no_grad()
def test_suffix_is_the_network_with_another_activation(make, layer, pictures):
    model, x = make(), pictures[:1]
    rest = make_suffix(model, x, layer)
    torch.testing.assert_close(rest.activation, layer_activation(model, x, layer).activation, **CLOSE)
    torch.testing.assert_close(rest.logits, model(x.clone()), **CLOSE)
    others = torch.randn(3, *rest.activation.shape[1:], dtype=x.dtype, generator=torch.Generator().manual_seed(2))
    kept = others.clone()
    for _ in range(2):  # the first call must not have written into the record
        torch.testing.assert_close(rest(others), replaced(model, x, layer, others), **CLOSE)
        torch.testing.assert_close(rest(others[:1]), replaced(model, x, layer, others[:1]), **CLOSE)
    assert torch.equal(others, kept)


@pytest.mark.parametrize(("make", "layer"), CASES)
@torch.no_grad()
def test_suffixes_of_a_batch_are_those_of_its_inputs(make, layer, pictures):
    model = make()
    others = torch.randn(3, *layer_activation(model, pictures[:1], layer).activation.shape[1:], dtype=pictures.dtype)
    for rest, x in zip(make_suffixes(model, pictures, layer), pictures.split(1), strict=True):
        torch.testing.assert_close(rest.logits, model(x.clone()), **CLOSE)
        torch.testing.assert_close(rest(rest.activation), rest.logits, **CLOSE)
        torch.testing.assert_close(rest(others), make_suffix(model, x, layer)(others), **CLOSE)


@pytest.mark.parametrize("read", [lambda table: table.sum(0), lambda table: table[-1]])
@torch.no_grad()
def test_a_table_of_as_many_rows_as_there_are_inputs(read, x):
    """It is no row of an input, and cutting it to one would be wrong without an error."""

    class Table(nn.Module):
        def __init__(self):
            super().__init__()
            self.rows, self.conv = nn.Linear(1, 3), nn.Conv2d(2, 3, 3)

        def forward(self, x):
            table = self.rows(torch.arange(5, dtype=x.dtype)[:, None])
            return self.conv(x).mean((2, 3)) * read(table)

    model = seeded(Table)
    for rest, one in zip(make_suffixes(model, x, "conv"), x.split(1), strict=True):
        torch.testing.assert_close(rest(rest.activation), model(one), **CLOSE)


def test_what_came_before_is_not_run_again(pictures):
    model, ran = in_place(), []
    rest = make_suffix(model, pictures[:1], "layer2.0.conv2")
    for name, module in model.named_modules():
        module.register_forward_hook(lambda module, args, out, name=name: ran.append((name, module, out)))
    with torch.no_grad():
        rest(rest.activation.expand(3, -1, -1, -1))
    assert set(rest.record) == {"", "conv1", "bn1", "maxpool", "layer1", "relu"} | {
        f"layer2.0.{name}" for name in ("conv1", "bn1", "conv2")
    }
    convolutions = {name for name, module, _ in ran if isinstance(module, nn.Conv2d)}
    assert convolutions >= {"layer2.0.downsample.0", "layer3.0.conv1"}
    assert not any(name.startswith("layer1.") for name, _, _ in ran)
    assert next(out for name, _, out in ran if name == "layer1").stride(0) == 0  # expanded, not copied


def test_only_what_is_written_into_is_copied(pictures):
    assert make_suffix(residual(), pictures[:1], "stage2.1.norm2").written == frozenset()
    assert make_suffix(in_place(), pictures[:1], "layer2.0.downsample").written == {"layer2.0.bn1", "layer2.0.bn2"}
    assert make_suffix(seeded(Odd), pictures[:1], "layer").written == {""}


def test_a_suffix_is_a_model_and_counts_as_one(pictures):
    model, target = residual(), torch.tensor([3])
    with count_passes() as passes:
        rest = make_suffix(model, pictures[:1], "stage3")
    assert passes.forward == 4  # the input beside its copy, and the trial of two rows
    with count_passes() as passes:
        again = score(rest, rest.activation, target)
    assert (passes.forward, passes.backward) == (1, 0)
    torch.testing.assert_close(again, score(model, pictures[:1], target), **CLOSE)


def test_slope_through_a_suffix(pictures):
    model, target = residual(), torch.tensor([3, 1])
    found = activation_and_gradient(model, pictures, target, "stage2.1.norm2")
    maps, slope = found.activation, found.gradient
    for i in range(2):
        rest = make_suffix(model, pictures[i : i + 1], "stage2.1.norm2")
        leaf = maps[i : i + 1].clone().requires_grad_()
        torch.testing.assert_close(torch.autograd.grad(rest(leaf)[0, target[i]], leaf)[0], slope[i : i + 1], **CLOSE)


@pytest.mark.parametrize("layer", ["layer1.0.bn2", "layer2.0.downsample", "bn1"])
def test_slope_where_the_activation_is_written_into(layer, pictures):
    model, target = in_place(), torch.tensor([3, 1])
    found = activation_and_gradient(model, pictures, target, layer)
    maps, slope = found.activation, found.gradient
    torch.testing.assert_close(maps, layer_activation(model, pictures, layer).activation, **CLOSE)
    for i in range(2):
        leaf = maps[i : i + 1].clone().requires_grad_()
        logit = replaced(model, pictures[i : i + 1], layer, leaf)[0, target[i]]
        torch.testing.assert_close(torch.autograd.grad(logit, leaf)[0], slope[i : i + 1], **CLOSE)


def test_the_graph_starts_at_the_layer(model, x, target):
    """Although every weight wants a gradient: backward ends at the activation."""
    before = []
    model[0].register_forward_hook(lambda module, args, out: before.append(out.requires_grad))
    with count_passes() as passes, cut_graph(model, "3") as seen:
        out = model(x)
        assert out.requires_grad
    assert before == [False]
    assert seen[0].is_leaf
    assert torch.is_grad_enabled()
    with count_passes() as passes:
        activation_and_gradient(model, x, target, "3", chunk=2)
    assert (passes.forward, passes.backward) == (5, 5)


class Interrupted(nn.Module):
    def forward(self, x):
        raise KeyboardInterrupt


def test_an_interrupt_leaves_no_trace(model, x, target):
    rest = make_suffix(model, x[:1], "2")
    model[1].forward = model[1].forward  # an override of the user's own must survive
    before = [dict(vars(module)) for module in model.modules()]
    model[3].forward = Interrupted().forward
    for failing in (
        lambda: rest(rest.activation),
        lambda: make_suffix(model, x[:1], "2"),
        lambda: layer_activation(model, x, "2"),
        lambda: activation_and_gradient(model, x, target, "2"),
        lambda: find_layer(model, x),
    ):
        with pytest.raises(KeyboardInterrupt):
            failing()
    del model[3].forward
    assert [dict(vars(module)) for module in model.modules()] == before
    assert all(not m._forward_hooks and not m._forward_pre_hooks for m in model.modules())
    assert torch.is_grad_enabled()


def test_answering_gives_every_forward_back(model, x):
    own = model[1].forward = lambda x: x
    with replace_forward([(model[i], lambda x: x + 1) for i in range(4)]):
        torch.testing.assert_close(model[:4](x), x + 4)
    with pytest.raises(KeyboardInterrupt), replace_forward([(model[i], Interrupted().forward) for i in range(4)]):
        model(x)
    assert vars(model[1])["forward"] is own
    assert all("forward" not in vars(model[i]) for i in (0, 2, 3))


def slope_at(model, x, layer):
    return activation_and_gradient(model, x, torch.tensor([0]), layer)


class TestRefusals:
    def test_more_than_one_input(self, model, x):
        with pytest.raises(ValueError, match=r"suffix: x must be one input \(1, \.\.\.\)\n  got: float64\[5,2,6,6\]"):
            make_suffix(model, x, "2")

    @pytest.mark.parametrize("run", [layer_activation, make_suffix])
    def test_unknown_layer(self, run, model, x):
        with pytest.raises(ValueError, match=r"no module of that name in the model\n  got: '33'\n  try: one of \['3'"):
            run(model, x[:1], "33")

    @pytest.mark.parametrize("run", [layer_activation, make_suffix, slope_at])
    def test_a_layer_that_is_not_called_once(self, run, pictures):
        twice, never = seeded(Odd), seeded(Odd)
        never.spare = nn.ReLU()
        with pytest.raises(ValueError, match=r"layer: 'again' must be called once in a pass\n  got: '2 calls'"):
            run(twice, pictures[:1], "again")
        with pytest.raises(ValueError, match=r"layer: 'spare' must be called once in a pass\n  got: '0 calls'"):
            run(never.eval(), pictures[:1], "spare")

    @pytest.mark.parametrize("run", [layer_activation, make_suffix, slope_at])
    def test_a_layer_without_one_tensor(self, run, pictures):
        """Of several things it is the first that counts; a bare number has no row an input."""

        class Total(nn.Module):
            def forward(self, x):
                return x.sum()

        parts = (nn.Conv2d(3, 4, 3), Total(), nn.Flatten(0), nn.Unflatten(0, (1, 1)))
        model = seeded(lambda: nn.Sequential(*parts))
        with pytest.raises(ValueError, match=r"layer: '1' must return a tensor with one row an input \(1\)"):
            run(model, pictures[:1], "1")

    def test_a_module_that_is_called_for_what_it_does_to_its_input(self, x):
        class Careless(nn.Module):
            def __init__(self):
                super().__init__()
                self.one, self.relu, self.two = nn.Conv2d(2, 4, 3), nn.ReLU(inplace=True), nn.Conv2d(4, 3, 3)

            def forward(self, x):
                y = self.one(x)
                self.relu(y)
                return self.two(y).mean((2, 3)) + y.mean((2, 3))[:, :3]

        with pytest.raises(ValueError, match="suffix: from 'two' on the model must say the same again"):
            make_suffix(seeded(Careless), x[:1], "two")

    def test_a_model_that_does_not_repeat_itself(self, x):
        class Counting(nn.Module):
            calls = 0

            def forward(self, x):
                self.calls += 1
                return x * self.calls

        forgetful = nn.Sequential(nn.Identity(), Counting(), nn.Flatten()).eval()
        with pytest.raises(ValueError, match="suffix: from '0' on the model must say the same again"):
            make_suffix(forgetful, x[:1], "0")
