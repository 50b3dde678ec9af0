"""Robustness: closed forms on linear models, the filter of predictions, Captum and Quantus with the same noise.

Tests: xnb.metrics.robustness, xnb.metrics.neighbours
"""

import warnings

import numpy as np
import pytest
import torch

from xnb import METHODS
from xnb.access.ledger import count_passes
from xnb.access.memo import remember_answers
from xnb.access.rows import follow_rows
from xnb.metrics import METRICS
from xnb.metrics.neighbours import shared_noise
from xnb.metrics.robustness import average_sensitivity, local_lipschitz, max_sensitivity

NAMES = ["max_sensitivity", "average_sensitivity", "local_lipschitz"]
gradient, times_input = METHODS["gradient"], METHODS["gradient_times_input"]


def total(x):
    """Two logits, the sum of all values and its negative: gradient times input is the input itself."""
    s = x.flatten(1).sum(1)
    return torch.stack([s, -s], 1)


@pytest.fixture
def moves(x):
    return 0.02 * shared_noise(x, 10, 0, uniform=True)


def test_closed_forms_of_a_linear_model(x, moves):
    target = torch.ones(5, dtype=torch.long)
    knobs = {"method": times_input, "same_prediction": False}
    arguments = (total, x, target, times_input(total, x, target))
    relative_moves = moves.flatten(1).norm(dim=1)[:, None] / x.flatten(1).norm(dim=1)
    torch.testing.assert_close(max_sensitivity(*arguments, **knobs), relative_moves.amax(0))
    torch.testing.assert_close(average_sensitivity(*arguments, **knobs), relative_moves.mean(0))
    torch.testing.assert_close(local_lipschitz(*arguments, **knobs), torch.ones_like(relative_moves[0]))


@pytest.mark.parametrize("name", NAMES)
def test_a_constant_map_is_the_steadiest_and_a_map_of_zeros_cannot_be_judged(name, model, x, target):
    arguments = (model, x, target, METHODS["constant"](model, x, target))
    assert (METRICS[name](*arguments, method=METHODS["constant"]) == 0).all()
    zeros = METRICS[name](model, x, target, torch.zeros_like(x), method=gradient)
    assert zeros.isnan().all() == (name != "local_lipschitz")


@pytest.mark.parametrize("name", NAMES)
def test_constant_beats_gradient_beats_erratic(name, model, x, target):
    """Noise that is drawn anew moves by as much as it is large."""
    fresh = torch.Generator().manual_seed(0)

    def erratic(model, x, target):
        return torch.randn(x.shape, generator=fresh, dtype=x.dtype)

    best, middle, worst = (
        METRICS[name](model, x, target, method(model, x, target), method=method).mean()
        for method in (METHODS["constant"], gradient, erratic)
    )
    assert best < middle < worst


def sides(model, x, target):
    """A map that tells only on which side of the border the input is."""
    return model(x)[:, 0].sign().view(-1, 1, 1, 1).expand_as(x)


def test_neighbours_across_the_border_are_left_out(x):
    beside_border = torch.full_like(x, 1e-6)  # the sum is positive, and noise decides for each neighbour
    arguments = (total, beside_border, torch.ones(5, dtype=torch.long), torch.ones_like(x))
    assert (max_sensitivity(*arguments, method=sides, same_prediction=False) == 2).all()
    assert (max_sensitivity(*arguments, method=sides) == 0).all()
    mixed = average_sensitivity(*arguments, method=sides, same_prediction=False)
    assert ((mixed > 0) & (mixed < 2)).all()


@pytest.mark.parametrize("name", NAMES)
def test_no_neighbour_left_is_nan(name, x, target):
    def lonely(inputs):
        """Class 0 at x itself and nowhere else."""
        away = (inputs - x[0]).flatten(1).norm(dim=1)
        return torch.stack([1e-9 - away, away], 1)

    arguments = (lonely, x[:1], target[:1], torch.ones_like(x[:1]))
    assert METRICS[name](*arguments, method=times_input).isnan().all()
    assert METRICS[name](*arguments, method=times_input, same_prediction=False).isfinite().all()


def test_more_neighbours_never_find_less(model, x, target):
    arguments = (model, x, target, gradient(model, x, target))
    few, many = (max_sensitivity(*arguments, method=gradient, samples=n) for n in (5, 50))
    assert (many >= few).all()
    assert (many > few).any()


@pytest.mark.parametrize("name", NAMES)
def test_neither_chunk_nor_neighbours_in_the_batch_matter(name, model, x, target):
    a = gradient(model, x, target)
    whole = METRICS[name](model, x, target, a, method=gradient)
    torch.testing.assert_close(METRICS[name](model, x, target, a, method=gradient, chunk=3), whole)
    alone = METRICS[name](model, x[2:3], target[2:3], a[2:3], method=gradient)
    torch.testing.assert_close(alone, whole[2:3])


def test_the_three_share_their_neighbours(model, x, target):
    a = gradient(model, x, target)
    with remember_answers(), count_passes() as passes:
        max_sensitivity(model, x, target, a, method=gradient)
        once = passes.backward
        average_sensitivity(model, x, target, a, method=gradient)
        local_lipschitz(model, x, target, a, method=gradient)
    assert once == passes.backward == 10 * len(x)


@pytest.mark.parametrize("name", NAMES)
@pytest.mark.parametrize("chunk", [None, 3, 5, 10])
def test_what_belongs_to_an_input_follows_its_neighbours(name, chunk, x, target):
    """A mask in the model and a baseline in the method, a row an input: as each input alone with its own row."""
    mask, baseline = torch.rand(x.shape, generator=torch.Generator().manual_seed(3)).double(), x.flip(0)

    def masked(x):
        own = follow_rows(mask, len(x), "mask")
        return torch.stack([(x * own).flatten(1).square().sum(1), x.flatten(1).sum(1)], 1)

    def method(model, x, target, baseline=baseline):
        return METHODS["integrated_gradients"](model, x, target, steps=4, baseline=baseline)

    whole = METRICS[name](masked, x, target % 2, method(masked, x, target % 2), method=method, chunk=chunk)
    for i in range(5):
        row = slice(i, i + 1)

        def alone(x, row=row):
            return torch.stack([(x * mask[row]).flatten(1).square().sum(1), x.flatten(1).sum(1)], 1)

        def own_method(model, x, target, row=row):
            return method(model, x, target, baseline=baseline[row].expand_as(x))

        arguments = x[row], target[row] % 2
        expected = METRICS[name](alone, *arguments, own_method(alone, *arguments), method=own_method)
        torch.testing.assert_close(whole[row], expected, equal_nan=True)


@pytest.mark.parametrize("name", NAMES)
def test_a_map_summed_over_channels_is_compared_with_summed_maps(name, model, x, target):
    """As the method that sums them; one that has more channels than its method is refused."""

    def summed(model, x, target):
        return gradient(model, x, target).sum(1, keepdim=True)

    a = summed(model, x, target)
    ours = METRICS[name](model, x, target, a, method=gradient)
    torch.testing.assert_close(ours, METRICS[name](model, x, target, a, method=summed))
    with pytest.raises(ValueError, match="the method's own map"):
        METRICS[name](model, x, target, a.expand_as(x), method=summed)


def test_one_neighbour_is_enough(model, x, target):
    arguments = model, x, target, gradient(model, x, target)
    largest, mean = (
        metric(*arguments, method=gradient, samples=1) for metric in (max_sensitivity, average_sensitivity)
    )
    torch.testing.assert_close(largest, mean, equal_nan=True)


@pytest.mark.parametrize("name", NAMES)
def test_maps_of_neighbours_must_be_finite_and_as_many(name, model, x, target):
    """The map itself may be fine, and those of its neighbours are not."""

    def broken(model, x, target):
        return x / 0

    def fewer(model, x, target):
        return x[1:]

    for method, rule in ((broken, "must give finite maps"), (fewer, "must explain each of its inputs")):
        with pytest.raises(ValueError, match=rule):
            METRICS[name](model, x, target, x, method=method)


@pytest.mark.parametrize("wrong", [{"radius": 0.0}, {"samples": 0}])
def test_refusals(wrong, model, x, target):
    with pytest.raises(ValueError, match="must be"):
        max_sensitivity(model, x, target, x, method=gradient, **wrong)


def test_captum_finds_the_same_with_the_same_noise(model, x, target, moves):
    metrics = pytest.importorskip("captum.metrics")

    def explain(inputs, target):
        """The first time it is asked with a tuple, and wants one."""
        if isinstance(inputs, tuple):
            return (explain(inputs[0], target),)
        return gradient(model, inputs, target).contiguous()

    def perturb(inputs):
        return inputs + moves.flatten(0, 1).repeat(len(x), 1, 1, 1)

    theirs = metrics.sensitivity_max(explain, x, perturb_func=perturb, n_perturb_samples=10, target=target)
    a = gradient(model, x, target)
    ours = max_sensitivity(model, x, target, a, method=gradient, same_prediction=False)
    torch.testing.assert_close(ours, theirs)


@pytest.mark.parametrize("name", ["MaxSensitivity", "AvgSensitivity", "LocalLipschitzEstimate"])
def test_quantus_finds_the_same_with_the_same_noise(name, model, x, target, moves):
    ours = dict(zip(["MaxSensitivity", "AvgSensitivity", "LocalLipschitzEstimate"], NAMES, strict=True))[name]
    a = gradient(model, x, target)
    scores = METRICS[ours](model, x, target, a, method=gradient, same_prediction=False)
    np.testing.assert_allclose(quantus_says(name, model, x, target, a, moves), scores, rtol=1e-5)


def test_one_changed_prediction_in_ten_makes_quantus_say_nothing(x, moves):
    """Its filter gives NaN where any neighbour changed class; ours judges those that did not."""
    inputs, target = 1e-6 * x.abs().float(), torch.zeros(5, dtype=torch.long)
    module = torch.nn.Sequential(torch.nn.Flatten(), torch.nn.Linear(72, 2, bias=False)).eval()
    module.requires_grad_(False)
    module[1].weight.copy_(torch.ones(2, 72) * torch.tensor([[1.0], [-1.0]]))
    a = times_input(module, inputs, target)
    assert np.isnan(quantus_says("MaxSensitivity", module, inputs, target, a, moves, times_input, nan=True)).all()
    assert max_sensitivity(module, inputs, target, a, method=times_input).isfinite().all()


def quantus_says(name, model, x, target, a, moves, method=gradient, nan=False):
    """A metric of Quantus that draws its noise from `moves`, one sample after the other."""
    samples = iter(moves.flatten(1).numpy())

    def explain(model, inputs, targets, **ignored):
        x = torch.as_tensor(inputs).to(next(model.parameters()).dtype)
        return method(model, x, torch.as_tensor(targets)).numpy()

    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        quantus = pytest.importorskip("quantus")
        metric = getattr(quantus, name)(
            nr_samples=10,
            perturb_func=lambda arr, **ignored: arr + next(samples),
            abs=False,
            normalise=False,
            return_nan_when_prediction_changes=nan,
            disable_warnings=True,
        )
        data = {"x_batch": x.numpy(), "y_batch": target.numpy(), "a_batch": a.numpy()}
        return metric(model=model, **data, explain_func=explain, device="cpu")
