"""Networks made to be explained: their own account of a logit is complete, local where it is promised, and exact."""

import pytest
import torch
from torch.nn import functional as F

from xnb import attribute
from xnb.access.score import logits, score
from xnb.models import BagNet, BcosNet, Ensemble, plain_cnn
from xnb.models.interpretable import BcosConv, Rescale
from xnb.summary import count_parameters


@pytest.fixture(autouse=True)
def start():
    with torch.random.fork_rng():
        torch.manual_seed(0)
        yield


@pytest.fixture
def pictures():
    return torch.rand(4, 3, 32, 32), torch.tensor([0, 3, 5, 1])


def test_parameter_counts():
    assert count_parameters(plain_cnn()) == 10_994
    assert count_parameters(plain_cnn(norm=False)) == 10_918
    running_squares = 4 * 19  # nobody trains them
    assert count_parameters(plain_cnn(bias=False)) - running_squares == 10_912
    assert count_parameters(plain_cnn(norm=False, bias=False)) == 10_836
    assert count_parameters(BagNet()) == 6_386
    assert count_parameters(BcosNet()) == 11_165
    assert count_parameters(Ensemble(BagNet, 3)) == 3 * 6_386


@pytest.mark.parametrize("kind", [BagNet, BcosNet])
def test_own_map_sums_to_the_logit(kind, pictures):
    x, y = pictures
    model = kind().eval()
    torch.testing.assert_close(model.own_map(x, y).sum((1, 2, 3)), score(model, x, y), rtol=1e-4, atol=1e-4)


@pytest.mark.parametrize("norm", [True, False])
def test_without_bias_the_network_is_homogeneous(norm, pictures):
    """Around grey, where the network starts: gradient times difference is then complete; with bias it is not."""
    x, y = pictures
    free, biased = plain_cnn(norm=norm, bias=False).eval(), plain_cnn(norm=norm).eval()
    for module in biased.modules():
        if getattr(module, "bias", None) is not None:
            module.bias.data.fill_(0.1)
    torch.testing.assert_close(logits(free, 0.5 + 2 * x), 2 * logits(free, 0.5 + x))
    for model, complete in ((free, True), (biased, False)):
        total = ((x - 0.5) * attribute(model, x, y, "gradient")).sum((1, 2, 3))
        assert torch.allclose(total, score(model, x, y), rtol=1e-3, atol=1e-5) == complete


def test_a_vote_depends_on_nine_pixels(pictures):
    x = pictures[0][:1]
    model = BagNet().eval()
    changed = x.clone()
    changed[:, :, 16:, :] = 0.3
    before, after = model.votes(x), model.votes(changed)
    same = (before == after).all(1)[0]
    assert before.shape == (1, 6, 8, 8)
    assert same[:3].all()  # cell 3 is centred on row 12 and sees rows 8 to 16
    assert not same[3:].any()
    torch.testing.assert_close(before.mean((2, 3)), logits(model, x))


def test_bcos_convolution_by_hand():
    layer, x = BcosConv(2, 3, 3).double(), torch.randn(1, 2, 5, 5, dtype=torch.double)
    layer.gain.data.fill_(1.0)
    patch = x[0, :, 1:4, 1:4].flatten()
    for k in range(3):
        w = layer.weight[k].flatten()
        cosine = F.cosine_similarity(patch, w, dim=0)
        expected = cosine.abs() * (w / w.norm()) @ patch
        torch.testing.assert_close(layer(x)[0, k, 2, 2], expected, rtol=1e-5, atol=1e-6)


def test_bcos_is_linear_in_its_own_weights_and_leaves_no_trace(pictures):
    """Inside its account the network has the same value, and afterwards the same slope as before."""
    x, y = pictures
    model = BcosNet().eval()
    slope = attribute(model, x, y, "gradient")
    model.own_map(x, y)
    assert torch.equal(attribute(model, x, y, "gradient"), slope)
    assert not any(layer.linear for layer in model.body if isinstance(layer, BcosConv))
    assert (model.own_map(x, y) - x * slope).abs().max() > 1e-3  # it is not gradient times input


def test_rescale_divides_by_the_root_mean_square():
    norm, x = Rescale(3, momentum=1.0), torch.randn(64, 3, 8, 8) * torch.tensor([1.0, 2, 3])[:, None, None] + 1
    out = norm.train()(x)
    torch.testing.assert_close(out.square().mean((0, 2, 3)), torch.ones(3), rtol=1e-3, atol=1e-3)
    torch.testing.assert_close(norm.eval()(x), out)
    assert torch.equal(norm(torch.zeros_like(x)), torch.zeros_like(x))


@pytest.mark.parametrize("make", [plain_cnn, lambda: plain_cnn(bias=False), BagNet, BcosNet])
def test_every_operation_is_a_module_used_once(make):
    net, calls = make().eval(), []
    leaves = [module for module in net.modules() if not list(module.children())]
    for module in leaves:
        module.register_forward_hook(lambda m, args, out: calls.append(m))
    net(torch.zeros(1, 3, 32, 32))
    assert len(calls) == len(set(calls)) == len(leaves)
    assert not any(getattr(module, "inplace", False) for module in net.modules())
