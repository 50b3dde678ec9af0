"""Copies of a model with random parameters: the model itself is left alone, and no parameter keeps its value."""

import networks
import pytest
import torch
from torch import nn
from torch.nn.utils import parametrizations

from xnb import models
from xnb.metrics.randomised_models import (
    cascade_randomisation,
    noisy_copy,
    parameter_layers,
    permuted_copy,
    randomised_copy,
)
from xnb.models import SmallCNN
from xnb.training import checkpoints


def weights(model):
    return {name: tensor.clone() for name, tensor in model.state_dict().items()}


def differ(one, other):
    """The modules with a parameter that is not the same."""
    return {name.rpartition(".")[0] for name in one if not torch.equal(one[name], other[name])}


@pytest.mark.parametrize("order", ["top_down", "bottom_up"])
def test_layers_become_random_one_after_the_other(order, model):
    before, done = weights(model), []
    for name, copy in cascade_randomisation(model, order=order):
        done.append(name)
        assert differ(before, copy.state_dict()) == set(done)
        assert not copy.training
    assert done == (["5", "2", "0"] if order == "top_down" else ["0", "2", "5"])
    assert not differ(before, model.state_dict())


def test_both_orders_end_at_the_same_model(model):
    ends = [
        list(cascade_randomisation(model, order=order, seed=4))[-1][1].state_dict()
        for order in ("top_down", "bottom_up")
    ]
    assert not differ(*ends)
    assert not differ(ends[0], randomised_copy(model, seed=4).state_dict())
    assert differ(ends[0], randomised_copy(model, seed=5).state_dict()) == {"0", "2", "5"}


def test_the_global_generator_is_left_alone(model):
    state = torch.get_rng_state()
    randomised_copy(model)
    assert torch.equal(torch.get_rng_state(), state)


def test_batch_norms_forget_what_they_saw():
    net = SmallCNN(3, 4, (4, 4, 4)).eval()
    net.stage1[0][1].running_mean.fill_(7.0)
    copy = randomised_copy(net)
    assert (copy.stage1[0][1].running_mean == 0).all()
    assert (net.stage1[0][1].running_mean == 7).all()


def test_a_layer_stands_for_all_below_it():
    net = SmallCNN(3, 4, (4, 4, 4)).eval()
    steps = dict(cascade_randomisation(net, layers=["stage1", "stage2", "stage3", "head"]))
    assert list(steps) == ["head", "stage3", "stage2", "stage1"]
    assert {name.split(".")[0] for name in differ(net.state_dict(), steps["stage3"].state_dict())} == {"head", "stage3"}


def test_what_has_no_rule_is_shuffled():
    """Weights of attention, norms and a token that belongs to the model itself: none keeps its place."""

    class Token(nn.Module):
        def __init__(self):
            super().__init__()
            self.token, self.body = nn.Parameter(torch.arange(50.0)), networks.patches()

    net = Token().eval()
    copy = randomised_copy(net)
    same = [name for name, values in net.named_parameters() if torch.equal(values, copy.get_parameter(name))]
    assert not same
    torch.testing.assert_close(copy.token.sort().values, net.token.detach())
    assert parameter_layers(net)[0] == ""
    last = list(cascade_randomisation(net))[-1]
    assert last[0] == ""
    assert not differ(last[1].state_dict(), copy.state_dict())


def test_a_pooling_has_forgotten_all():
    torch.manual_seed(0)
    net = models.bag_classifier().eval()
    before, state = net.head.weight.clone(), torch.get_rng_state()
    other = randomised_copy(net, seed=1)
    assert torch.equal(net.head.weight, before)
    assert torch.equal(state, torch.get_rng_state())
    pairs = zip(net.parameters(), other.parameters(), strict=True)
    assert not any(torch.equal(old, new) for old, new in pairs)


def correlations(one, other):
    """Of every parameter with values that differ, by how many standard deviations of chance."""
    found = {}
    for name, values in one.named_parameters():
        pair = torch.stack([values.detach().flatten(), other.get_parameter(name).detach().flatten()])
        if values.numel() > 30 and (pair.std(1) > 0).all():
            found[name] = float(torch.corrcoef(pair)[0, 1] * values.numel() ** 0.5)
    return found


@pytest.mark.parametrize("seed", range(6))
def test_a_network_does_not_get_its_own_start_back(seed):
    """A network made after `torch.manual_seed(seed)` was equal to its random copy of that seed."""
    torch.manual_seed(seed)
    for net in (SmallCNN(3, 4), models.ViT(classes=4), nn.Sequential(nn.Linear(6, 32), nn.ReLU(), nn.Linear(32, 3))):
        found = correlations(net, randomised_copy(net.eval(), seed=seed))
        assert len(found) > 1
        assert max(map(abs, found.values())) < 5


@pytest.mark.parametrize("name", checkpoints.RECIPES)
def test_trained_networks_do_not_get_their_start_back(name):
    net = checkpoints.load(name)
    for seed in range(3):
        found = correlations(net, randomised_copy(net, seed=seed))
        assert max(map(abs, found.values())) < 5


@pytest.mark.filterwarnings("ignore:.*_norm. is deprecated:FutureWarning")
@pytest.mark.parametrize(
    "norm",
    [nn.utils.weight_norm, nn.utils.spectral_norm, parametrizations.weight_norm, parametrizations.spectral_norm],
)
def test_derived_weights_are_drawn_again(norm):
    """The weight that runs is another one, also after a pass; under spectral norm its largest singular value is 1."""
    torch.manual_seed(5)
    net = nn.Sequential(norm(nn.Linear(6, 16, bias=False))).eval()
    net(torch.ones(2, 6)).sum().backward()
    before = net[0].weight.detach().clone()
    copy = randomised_copy(net, seed=5)
    copy(torch.ones(2, 6))
    after = copy[0].weight.detach()
    assert torch.corrcoef(torch.stack([before.flatten(), after.flatten()]))[0, 1].abs() < 0.5
    assert torch.equal(net[0].weight, before)
    if "spectral" in norm.__name__:
        assert torch.linalg.matrix_norm(after, 2) == pytest.approx(1, abs=1e-3)


def test_a_rule_is_looked_at_and_not_believed():
    """A module whose own rule draws from a fixed seed gives back what it was; its parameter is shuffled instead."""

    class Stubborn(nn.Module):
        def __init__(self):
            super().__init__()
            self.weight = nn.Parameter(torch.empty(500))
            self.reset_parameters()

        def reset_parameters(self):
            with torch.no_grad():
                self.weight.copy_(torch.randn(500, generator=torch.Generator().manual_seed(1)))

    net = Stubborn().eval()
    copy = randomised_copy(net)
    assert torch.corrcoef(torch.stack([net.weight, copy.weight]).detach())[0, 1].abs() < 5 / 500**0.5
    torch.testing.assert_close(copy.weight.sort().values, net.weight.sort().values)


def test_a_number_without_a_rule_gets_a_random_factor():
    class Scaled(nn.Module):
        def __init__(self):
            super().__init__()
            self.scale = nn.Parameter(torch.tensor(0.7))

    assert randomised_copy(Scaled()).scale != Scaled().scale


def test_a_model_without_anything_to_draw_is_refused():
    with pytest.raises(ValueError, match="randomised: at least one parameter must have values that differ"):
        randomised_copy(nn.Flatten())


class TestPermutedCopy:
    def test_every_tensor_keeps_its_values_at_other_places(self, model):
        copy = permuted_copy(model)
        for name, values in model.named_parameters():
            permuted = dict(copy.named_parameters())[name]
            assert torch.equal(permuted.flatten().sort().values, values.flatten().sort().values)
            assert not torch.equal(permuted, values)

    def test_seed_decides_and_nothing_else_moves(self, model):
        before, state = weights(model), torch.get_rng_state()
        one, same, other = (weights(permuted_copy(model, seed=seed)) for seed in (0, 0, 1))
        assert not differ(one, same)
        assert differ(one, other)
        assert not differ(before, model.state_dict())
        assert torch.equal(state, torch.get_rng_state())

    def test_signals_live_where_a_fresh_batch_norm_lets_them_die(self):
        """Logits of FastNet for black and noise part by 3.1; permuted by 4.1; with fresh norms by 1e-8."""
        net = models.FastNet.pretrained()
        x = torch.stack([torch.zeros(3, 64, 64), torch.rand(3, 64, 64, generator=torch.Generator().manual_seed(0))])
        moves = {}
        for make in (permuted_copy, randomised_copy):
            with torch.no_grad():
                black, noise = make(net)(x)
            moves[make] = (black - noise).abs().max().item()
        assert moves[permuted_copy] > 1
        assert moves[randomised_copy] < 1e-6

    def test_what_cannot_move_is_refused(self):
        constant = nn.Linear(2, 1, bias=False)
        nn.init.ones_(constant.weight)
        with pytest.raises(ValueError, match="permuted: at least one parameter must have values that differ"):
            permuted_copy(constant)


class TestNoisyCopy:
    def test_factors_are_what_they_say(self):
        """10,000 parameters that are 2: factors of mean 1 and deviation 0.3."""
        net = nn.Linear(100, 100, bias=False)
        nn.init.constant_(net.weight, 2.0)
        factors = noisy_copy(net, deviation=0.3).weight / 2
        assert factors.mean().item() == pytest.approx(1, abs=0.01)
        assert factors.std().item() == pytest.approx(0.3, abs=0.01)

    def test_seed_decides_and_nothing_else_moves(self, model):
        before, state = weights(model), torch.get_rng_state()
        one, same, other = (weights(noisy_copy(model, deviation=0.1, seed=seed)) for seed in (0, 0, 1))
        assert not differ(one, same)
        assert differ(one, other) == differ(before, one) == {"0", "2", "5"}
        assert not differ(before, model.state_dict())
        assert torch.equal(state, torch.get_rng_state())

    def test_what_is_no_module_is_refused(self, as_users_run):
        with pytest.raises(ValueError, match=r"only an nn\.Module has parameters"):
            noisy_copy(torch.sum, deviation=0.1)
