"""The residual network for all of CIFAR-10: its parameters, its work, and modules that a hook reaches."""

import torch
from scipy.fft import dctn
from torch import nn

from xnb import data
from xnb.access.hooks import capture_outputs
from xnb.models import ResNet
from xnb.models.layers import Add
from xnb.models.residual import ProjectedBlock, cosine_filters
from xnb.summary import count_parameters


def count_multiplications(net, x):
    """Of convolutions and linear layers, by hand: outputs times what each of them sums up."""
    total = 0
    names = {name: module for name, module in net.named_modules() if isinstance(module, nn.Conv2d | nn.Linear)}
    with capture_outputs(net, *names) as outputs:
        net(x)
    for name, module in names.items():
        total += outputs[name][0].numel() * module.weight[0].numel()
    return total


def test_parameters_and_work_are_those_of_the_docstring():
    net = ResNet().eval()
    assert count_parameters(net) == 695_146
    assert f"{count_parameters(net):,} parameters" in ResNet.__doc__
    assert round(count_multiplications(net, torch.rand(1, 3, 32, 32)) / 1e6) == 28
    assert "28 million multiply-adds" in ResNet.__doc__
    assert count_parameters(ResNet(1, 7, (8, 16))) == 5_959


def test_every_operation_is_a_module_used_once():
    net = ResNet(widths=(8, 16)).eval()
    leaves = [name for name, module in net.named_modules() if not list(module.children())]
    calls = []
    for name in leaves:
        net.get_submodule(name).register_forward_hook(lambda module, args, out: calls.append(module))
    net(torch.rand(2, 3, 32, 32))
    assert len(calls) == len(set(calls)) == len(leaves)
    assert not any(getattr(module, "inplace", False) for module in net.modules())
    assert sum(isinstance(module, Add) for module in net.modules()) == 2


def test_a_block_computes_what_its_paper_writes():
    torch.manual_seed(0)
    block = ProjectedBlock(3, 5, 2).eval().double()
    nn.init.ones_(block.norm2.weight)
    x = torch.randn(2, 3, 8, 8, dtype=torch.double)
    scale = (1 + block.norm1.eps) ** -0.5  # of a batch norm that has seen nothing: mean 0, variance 1
    hidden = torch.relu(scale * torch.conv2d(x, block.conv1.weight, stride=2, padding=1))
    change = scale * torch.conv2d(hidden, block.conv2.weight, padding=1)
    shortcut = scale * torch.conv2d(x, block.shortcut.weight, stride=2)
    torch.testing.assert_close(block(x), torch.relu(change + shortcut))


def test_a_block_begins_as_its_shortcut():
    block = ProjectedBlock(3, 5, 1).eval()
    x = torch.randn(2, 3, 8, 8)
    torch.testing.assert_close(block(x), torch.relu(block.norm3(block.shortcut(x))))


def test_the_stem_is_the_cosine_transform_of_each_patch():
    """By scipy, of a patch that lies within the picture: channels, rows and columns, all orthonormal."""
    net = ResNet(mean=0.0, std=1.0).eval()
    x = torch.rand(2, 3, 8, 8)
    patch = x[:, :, 1:5, 3:7].double().numpy()
    expected = dctn(patch, axes=(1, 2, 3), norm="ortho").reshape(2, 48)
    found = net.stem[0](net.standardise(x))[:, :, 1, 2]  # patches begin one pixel outside, two apart
    torch.testing.assert_close(found, torch.tensor(expected).float())
    flat = cosine_filters(3, 4).flatten(1)
    torch.testing.assert_close(flat @ flat.T, torch.eye(48))


def test_the_stem_does_not_learn_and_what_it_returns_is_alike():
    split = data.shapes(n=(200, 0))
    net = ResNet().train()
    assert not any(parameter.requires_grad for parameter in net.stem.parameters())
    values = net.stem(net.standardise(split.train.x)).transpose(0, 1).flatten(1)
    raw = net.stem[0](net.standardise(split.train.x)).transpose(0, 1).flatten(1)
    # The largest variance is thousands of times the smallest before, and a few times behind the norm.
    spread, spread_before = (float(v.var(1).max() / v.var(1).median()) for v in (values, raw))
    assert spread < 2
    assert spread_before > 20
    assert torch.corrcoef(values).abs().fill_diagonal_(0).mean() < 0.1


def test_the_last_maps_are_an_eighth_of_the_picture():
    net = ResNet(widths=(4, 8, 16)).eval()
    with capture_outputs(net, "blocks") as seen:
        assert net(torch.rand(2, 3, 32, 48)).shape == (2, 10)
    assert seen["blocks"].shape == (2, 16, 4, 6)
