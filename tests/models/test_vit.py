"""Transformers are `readout(blocks(tokens(x)))`, torchvision's too, and follow the protocol of `Transformer`."""

import pytest
import torch
from torchvision.models import VisionTransformer

from xnb.models import FeatureTransformer, SelfAttentionClassifier, ViT, from_torchvision
from xnb.summary import count_parameters

TRANSFORMERS = {
    "class token": (ViT, (3, 32, 32), 65),
    "mean": (lambda: ViT(pool="mean"), (3, 32, 32), 64),
    "registers": (lambda: ViT(registers=2, overlap=2), (3, 32, 32), 67),
    "torchvision": (lambda: from_torchvision(small_torchvision()), (3, 32, 32), 17),
    "grid": (lambda: SelfAttentionClassifier(blocks=2), (3, 32, 32), 64),
    "features": (lambda: FeatureTransformer(7), (7,), 8),
}


def small_torchvision():
    """Torchvision starts its head at zero; here every weight is drawn."""
    network = VisionTransformer(32, 8, num_layers=2, num_heads=2, hidden_dim=16, mlp_dim=32, num_classes=5)
    for weights in network.parameters():
        torch.nn.init.normal_(weights, 0, 0.3)
    return network.eval()


@pytest.fixture(autouse=True)
def start():
    with torch.random.fork_rng():
        torch.manual_seed(0)
        yield


@pytest.mark.parametrize("kind", TRANSFORMERS)
def test_forward_is_readout_of_blocks_of_tokens(kind):
    make, shape, count = TRANSFORMERS[kind]
    model, x = make().eval(), torch.rand(2, *shape)
    tokens = model.tokens(x)
    assert tokens.shape[:2] == (2, count)
    for block in model.blocks:
        after = block(tokens)
        assert after.shape == tokens.shape
        tokens = after
    assert torch.equal(model(x), model.readout(tokens))
    assert 0 <= model.prefix < count


@pytest.mark.parametrize("kind", TRANSFORMERS)
def test_tokens_in_front_know_no_input(kind):
    """They are the same for every input, and the others are not."""
    make, shape, _ = TRANSFORMERS[kind]
    model = make().eval()
    first, second = model.tokens(torch.rand(2, *shape))
    same = (first == second).all(1)
    assert same[: model.prefix].all()
    assert not same[model.prefix :].any()


def test_torchvisions_network_gives_the_same_logits_from_the_same_weights():
    network, x = small_torchvision(), torch.rand(2, 3, 32, 32)
    ours = from_torchvision(network)
    assert torch.equal(ours(x), network(x))
    assert {id(weights) for weights in ours.parameters()} == {id(weights) for weights in network.parameters()}
    assert not any(module.training for module in ours.modules())
    assert all(module.training for module in from_torchvision(network.train()).modules())


def test_parameter_counts():
    assert count_parameters(ViT()) == 207_814
    block = ViT(width=48, depth=1).blocks[0]
    assert count_parameters(block) == 12 * 48**2 + 13 * 48


@pytest.mark.parametrize(
    ("knobs", "says"),
    [
        ({"size": 30}, r"multiple of patch\n  got: \(30, 4\)\n  try: size=28"),
        ({"pool": "max"}, "pool must be class or mean"),
        ({"width": 50}, r"multiple of heads\n  got: \(50, 4\)\n  try: width=48"),
    ],
)
def test_refusals(knobs, says):
    with pytest.raises(ValueError, match=says):
        ViT(**knobs)


def test_another_size_is_refused():
    with pytest.raises(ValueError, match="there must be 65 tokens"):
        ViT()(torch.rand(1, 3, 28, 28))


def test_waves_make_neighbours_start_alike():
    start = ViT(width=48, registers=2, waves=0.2).positions.positions[0, 3:]
    alike = torch.cdist(start, start).unflatten(0, (8, 8)).unflatten(2, (8, 8))
    torch.testing.assert_close(start.norm(dim=1), torch.full((64,), 0.2 * 24**0.5))  # 24 pairs of sine and cosine
    assert alike[3, 3, 3, 4] < alike[3, 3, 3, 6] < alike[3, 3, 6, 6]
    torch.testing.assert_close(alike[2, 3, 2, 5], alike[3, 2, 5, 2])  # rows and columns are told alike
    assert alike.flatten(0, 1).flatten(1).add(torch.eye(64)).min() > 0.05  # and no two places are the same
    with pytest.raises(ValueError, match="waves=0"):
        ViT(width=42, heads=2, waves=0.2)


def test_linear_layers_start_as_torchvision_s_do():
    """Uniform within the square root of 6 / (inputs + outputs), without a bias; torch's own start is narrower."""
    with torch.random.fork_rng():
        torch.manual_seed(0)
        layers = [module for module in ViT().modules() if isinstance(module, torch.nn.Linear)]
    assert layers
    for layer in layers:
        bound = (6 / sum(layer.weight.shape)) ** 0.5
        assert 0.9 * bound < layer.weight.abs().max() <= bound
        assert (layer.bias == 0).all()
