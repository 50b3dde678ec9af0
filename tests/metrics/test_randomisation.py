"""Randomisation: what does not see the model fails, closed forms, and Quantus on our copies."""

import math
from itertools import count

import numpy as np
import pytest
import torch
from scipy.stats import spearmanr
from torch import nn

from xnb import METHODS
from xnb.access.memo import remember_answers
from xnb.metrics import METRICS
from xnb.metrics.randomisation import (
    data_randomisation,
    efficient_mprt,
    mprt,
    mprt_curve,
    random_logit,
    smooth_mprt,
)
from xnb.metrics.randomised_models import cascade_randomisation, randomised_copy
from xnb.metrics.similarity import map_similarity
from xnb.models import SmallCNN

gradient, times_input = METHODS["gradient"], METHODS["gradient_times_input"]
NAMES = ["mprt", "smooth_mprt", "efficient_mprt", "random_logit"]


def apply(name, model, x, target, method, **knobs):
    knobs |= {"samples": 3} if name == "smooth_mprt" else {}
    return METRICS[name](model, x, target, method(model, x, target), method=method, **knobs)


def fresh():
    """A map that is other noise at each call."""
    seeds = count()
    return lambda model, x, target: METHODS["random"](model, x, target, seed=next(seeds))


@pytest.mark.parametrize("wrong", [{"layers": ["nowhere"]}, {"layers": ["1"]}, {"order": "sideways"}])
def test_refusals_of_the_cascade(wrong, model, x, target, as_users_run):
    with pytest.raises(ValueError, match="cascade: "):
        apply("mprt", model, x, target, gradient, **wrong)


@pytest.mark.parametrize("name", ["mprt", "smooth_mprt", "efficient_mprt"])
def test_a_function_has_no_parameters(name, x, target, as_users_run):
    with pytest.raises(ValueError, match=r"only an nn.Module has parameters"):
        apply(name, lambda x: x.mean(3)[:, 0, :3], x, target, gradient)


# ------------------------------------------------------------------------------------------------ the metrics


@pytest.mark.parametrize("name", NAMES)
@pytest.mark.parametrize("control", ["edges", "baseline_distance", "random"])
def test_what_does_not_see_the_model_fails(name, control, model, x, target):
    """The control `random` is the same noise at each call of an input: it sees no model, and fails as well."""
    scores = apply(name, model, x, target, METHODS[control])
    torch.testing.assert_close(scores, torch.full_like(scores, 0 if name == "efficient_mprt" else 1))


def test_a_constant_map_fails_too_and_has_no_complexity_to_rise(model, x, target):
    assert (apply("mprt", model, x, target, METHODS["constant"]) == 1).all()
    assert apply("efficient_mprt", model, x, target, METHODS["constant"]).isnan().all()


def test_fresh_noise_passes_though_it_explains_nothing(target):
    """The trap: a perfect score for a map without a model. The efficient form is not taken in."""
    net, x = SmallCNN(3, 4, (4, 4, 4)).eval(), torch.rand(5, 3, 16, 16, generator=torch.Generator().manual_seed(0))
    assert apply("mprt", net, x, target, fresh(), layers=["stage1", "stage2", "head"]).abs().max() < 0.15
    assert apply("efficient_mprt", net, x, target, fresh()).abs().max() < 0.15


def test_closed_form_of_a_linear_model():
    """The gradient is a row of the weights, whatever the input; noise on it changes nothing."""
    net = nn.Sequential(nn.Flatten(), nn.Linear(32, 3)).double().eval()
    x = torch.randn(4, 2, 4, 4, dtype=torch.double, generator=torch.Generator().manual_seed(0))
    target = torch.tensor([0, 1, 2, 0])
    before, after = (m[1].weight.detach().view(3, 2, 16).sum(1) for m in (net, randomised_copy(net)))
    expected = torch.tensor([spearmanr(before[k], after[k])[0] for k in target])
    torch.testing.assert_close(apply("mprt", net, x, target, gradient), expected)
    torch.testing.assert_close(apply("smooth_mprt", net, x, target, gradient), expected)


def test_the_mean_of_the_steps(model, x, target):
    a = gradient(model, x, target)
    curve = mprt_curve(model, x, target, a, method=gradient, order="bottom_up")
    assert list(curve) == ["0", "2", "5"]
    expected = torch.stack(list(curve.values())).mean(0)
    torch.testing.assert_close(mprt(model, x, target, a, method=gradient, order="bottom_up"), expected)


def test_a_noisy_map_is_saner_for_its_noise_and_smoothing_takes_that_away():
    """Edges with noise on top at each call do not see the model; the noise alone brings the score down."""
    net, x = SmallCNN(3, 4, (4, 4, 4)).eval(), torch.rand(5, 3, 16, 16, generator=torch.Generator().manual_seed(0))
    target, noisy = torch.tensor([0, 1, 2, 1, 0]), fresh()

    def method(model, x, target):
        edges = METHODS["edges"](model, x, target)
        seed = noisy(model, x, target)[:1, :1].expand(len(x), -1, -1, -1)  # other noise for each input of the batch
        return edges + 0.2 * torch.stack([one.roll(7 * i, 2) for i, one in enumerate(seed)])

    a = method(net, x, target)
    knobs = {"method": method, "layers": ["stage1", "head"]}
    plain = mprt(net, x, target, a, **knobs)
    smooth = smooth_mprt(net, x, target, a, sigma=0.0, samples=50, **knobs)
    assert (smooth > plain + 0.2).all()


def test_complexity_doubles():
    """Two values before and four after: log 2 and log 4."""
    net = nn.Sequential(nn.Flatten(), nn.Linear(4, 2)).eval()
    x, target = torch.rand(1, 1, 2, 2, generator=torch.Generator().manual_seed(0)), torch.tensor([0])

    def method(model, x, target):
        return torch.tensor([0.0, 1, 0, 1] if model is net else [0.0, 1, 2, 3]).view(1, 1, 2, 2)

    assert apply("efficient_mprt", net, x, target, method).item() == pytest.approx(math.log(4) / math.log(2) - 1)


def test_opposite_logits_have_opposite_slopes(x):
    def total(x):
        s = x.flatten(1).square().sum(1)
        return torch.stack([s, -s], 1)

    scores = apply("random_logit", total, x, torch.tensor([0, 1, 0, 1, 0]), gradient)
    torch.testing.assert_close(scores, -torch.ones_like(scores))


def test_random_logit_needs_another_class(x):
    with pytest.raises(ValueError, match="at least 2 classes"):
        apply("random_logit", lambda x: x.flatten(1).sum(1, keepdim=True), x, torch.zeros(5).long(), gradient)


def test_data_randomisation_compares_with_the_other_model(model, x, target):
    a = gradient(model, x, target)
    other = randomised_copy(model, seed=1)
    scores = data_randomisation(model, x, target, a, method=gradient, other=other)
    torch.testing.assert_close(scores, map_similarity(a, gradient(other, x, target), x))
    assert (data_randomisation(model, x, target, a, method=gradient, other=model) == 1).all()


@pytest.mark.parametrize("name", NAMES)
def test_no_input_sees_its_neighbours(name, model, x, target):
    whole = apply(name, model, x, target, times_input)
    alone = apply(name, model, x[3:4], target[3:4], times_input)
    torch.testing.assert_close(alone, whole[3:4])


def test_copies_are_not_mistaken_for_the_model_in_shared_memory(model, x, target):
    alone = apply("mprt", model, x, target, gradient)
    with remember_answers():
        torch.testing.assert_close(apply("mprt", model, x, target, gradient), alone)


# ------------------------------------------------------------------------------------------------ Quantus


def explain(model, inputs, targets, **ignored):
    x = torch.as_tensor(inputs).to(next(model.parameters()).dtype)
    return gradient(model, x, torch.as_tensor(targets)).sum(1, keepdim=True).numpy()


def apply_quantus(metric, model, x, target):
    a = gradient(model, x, target).sum(1, keepdim=True).numpy()
    return metric(model=model, x_batch=x.numpy(), y_batch=target.numpy(), a_batch=a, explain_func=explain, device="cpu")


PLAIN = {"abs": False, "normalise": False, "disable_warnings": True}


@pytest.mark.parametrize("order", ["top_down", "bottom_up"])
def test_quantus_finds_the_same_on_the_same_copies(order, model, x, target, quantus, monkeypatch):
    wrapper = quantus.helpers.model.pytorch_model.PyTorchModel
    monkeypatch.setattr(
        wrapper, "get_random_layer_generator", lambda self, **ignored: cascade_randomisation(model, order=order)
    )
    theirs = apply_quantus(quantus.MPRT(layer_order=order, **PLAIN), model, x, target)
    ours = mprt_curve(model, x, target, gradient(model, x, target), method=gradient, order=order)
    assert list(ours) == [name for name in theirs if name != "original"]
    for name, scores in ours.items():
        np.testing.assert_allclose(theirs[name], scores, rtol=1e-6)


def test_quantus_finds_the_same_rise_of_complexity(model, x, target, quantus, monkeypatch):
    model, x = model.float(), x.float()
    wrapper = quantus.helpers.model.pytorch_model.PyTorchModel
    monkeypatch.setattr(wrapper, "get_random_layer_generator", lambda self, **ignored: cascade_randomisation(model))
    metric = quantus.EfficientMPRT(complexity_func_kwargs={"n_bins": 100}, compute_extra_scores=False, **PLAIN)
    ours = efficient_mprt(model, x, target, gradient(model, x, target), method=gradient)
    np.testing.assert_allclose(apply_quantus(metric, model, x, target), ours, rtol=1e-5)


def test_quantus_finds_the_same_for_the_other_of_two_classes(x, quantus):
    with torch.random.fork_rng():
        torch.manual_seed(0)
        net = nn.Sequential(nn.Flatten(), nn.Linear(72, 8), nn.Tanh(), nn.Linear(8, 2)).double().eval()
    target = torch.tensor([0, 1, 1, 0, 0])
    metric = quantus.RandomLogit(num_classes=2, similarity_func=quantus.similarity_func.correlation_spearman, **PLAIN)
    ours = random_logit(net, x, target, gradient(net, x, target), method=gradient)
    np.testing.assert_allclose(apply_quantus(metric, net, x, target), ours, rtol=1e-6)


def test_layers_of_one_shape_get_the_same_weights_in_quantus(quantus):
    """It seeds each layer anew with the same number, so its random network repeats itself; ours does not."""
    net = SmallCNN(3, 4, (4, 8, 8)).eval()
    wrapped = quantus.helpers.model.pytorch_model.PyTorchModel(net, channel_first=True, softmax=False, device="cpu")
    with torch.random.fork_rng():
        *_, (_, theirs) = wrapped.get_random_layer_generator()
    for copy, repeats in ((theirs, True), (randomised_copy(net), False)):
        block = copy.stage1[1]
        assert torch.equal(block.conv1.weight, block.conv2.weight) == repeats
