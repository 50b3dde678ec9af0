"""With every optimisation switched off, every method and metric has the numbers that it has with them."""

from collections import Counter

import pytest
import torch
from networks import with_attention
from optimisations import OPTIMISATIONS, switch_off
from torch import nn

import xnb
from xnb import METHODS, attribute
from xnb.access.ledger import count_passes
from xnb.access.memo import remember_answers
from xnb.metrics import METRICS

# Knobs with which a method takes its faster way on small inputs.
KNOBS = {"occlusion": {"window": 2, "stride": 1}, "kernel_shap": {"samples": 24}, "lime": {"samples": 24}}


def explain(name, model, x, target):
    return attribute(with_attention(name) or model, x, target, name, **KNOBS.get(name, {}))


def measure(name, model, x, target):
    a = x * 0.5 + 0.1
    masks = torch.zeros(len(x), 1, 6, 6, dtype=torch.bool)
    masks[:, :, 1:4, 2:4] = True
    every = {"masks": masks, "method": METHODS["gradient_times_input"], "other": negated(model)}
    return METRICS[name](model, x, target, a, **{ask: every[ask] for ask in METRICS.cards[name].asks})


def negated(model):
    return nn.Sequential(*model, nn.Softplus()).eval()


@pytest.mark.parametrize("name", sorted(METHODS))
def test_a_method_has_the_same_numbers_without(name, model, x, target):
    expected = explain(name, model, x, target)
    with switch_off():
        found = explain(name, model, x, target)
    torch.testing.assert_close(found, expected, rtol=1e-9, atol=1e-11)


@pytest.mark.parametrize("name", sorted(METRICS))
def test_a_metric_has_the_same_numbers_without(name, model, x, target):
    model.insert(4, nn.AdaptiveAvgPool2d(6).eval())  # a grid is larger than an input, and asks for four classes
    model.append(nn.Linear(3, 4).double().eval())
    target = torch.tensor([0, 1, 2, 3, 0])
    expected = measure(name, model, x, target)
    with switch_off():
        found = measure(name, model, x, target)
    torch.testing.assert_close(found, expected, rtol=1e-9, atol=1e-11, equal_nan=True)


@pytest.mark.parametrize("switch", OPTIMISATIONS)
def test_no_single_switch_changes_a_number(switch, model, x, target):
    names = ["integrated_gradients", "occlusion", "rise", "kernel_shap", "lime", "grad_cam", "ablation_cam"]
    expected = {name: explain(name, model, x, target) for name in names}
    scores = {name: measure(name, model, x, target) for name in ("srg", "road", "max_sensitivity")}
    with switch_off(switch):
        for name in names:
            torch.testing.assert_close(explain(name, model, x, target), expected[name], rtol=1e-9, atol=1e-11)
        for name, score in scores.items():
            torch.testing.assert_close(measure(name, model, x, target), score, rtol=1e-9, atol=1e-11)


@pytest.mark.parametrize("how", ["with", "without"])
def test_all_methods_at_once_have_the_numbers_of_each(how, model, x, target):
    names = ["gradient", "gradient_times_input", "grad_cam", "hires_cam", "smoothgrad", "vargrad"]
    expected = {name: attribute(model, x, target, name) for name in names}
    with switch_off(*(OPTIMISATIONS if how == "without" else ["prepare_nothing"])):
        found = xnb.explain(model, x, target, names)
    for name in names:
        torch.testing.assert_close(found[name], expected[name], rtol=1e-9, atol=1e-11)


# Each switch does what its name says.


class Watched(nn.Module):
    """A layer that notes what runs through it."""

    def __init__(self, layer):
        super().__init__()
        self.layer, self.seen = layer, []
        self.eval()

    def forward(self, x):
        self.seen.append((len(x), type(x), torch.is_grad_enabled()))
        return self.layer(x)


@pytest.fixture
def watched(model):
    model[0] = Watched(model[0])
    return model


def test_inputs_run_one_at_a_time(watched, x, target):
    with switch_off("run_one_input_at_a_time"):
        attribute(watched, x, target, "integrated_gradients")
    assert Counter(rows for rows, *_ in watched[0].seen).keys() == {1}


def test_answers_are_forgotten(model, x, target):
    with switch_off("forget_answers"), remember_answers():
        attribute(model, x, target, "gradient")
        with count_passes() as again:
            attribute(model, x, target, "gradient")
    assert again.backward == len(x)


def test_occlusion_runs_plain_tensors(watched, x, target):
    attribute(watched, x, target, "occlusion", window=2, stride=1)
    assert len({kind for _, kind, _ in watched[0].seen}) == 2
    watched[0].seen.clear()
    with switch_off("occlude_by_full_passes"):
        attribute(watched, x, target, "occlusion", window=2, stride=1)
    assert {kind for _, kind, _ in watched[0].seen} == {torch.Tensor}


def test_what_comes_before_a_layer_runs_again(watched, x, target):
    attribute(watched, x, target, "ablation_cam", layer="3")
    once = len(watched[0].seen)
    watched[0].seen.clear()
    with switch_off("run_all_before_a_layer"):
        attribute(watched, x, target, "ablation_cam", layer="3")
    assert len(watched[0].seen) > once


def test_the_graph_begins_at_the_input(watched, x, target):
    attribute(watched, x, target, "grad_cam", layer="3")
    assert not watched[0].seen[-1][2]
    with switch_off("keep_the_graph_before_a_layer"):
        attribute(watched, x, target, "grad_cam", layer="3")
    assert watched[0].seen[-1][2]


def test_no_gradient_is_shared(model, x, target):
    with switch_off("share_no_gradients"):
        ledger = xnb.explain(model, x, target, ["gradient", "grad_cam"]).ledger
    assert ledger.loc["shared", "backward"] == 0


def test_nothing_is_prepared(x):
    net = nn.Sequential(nn.Conv2d(2, 3, 3), nn.BatchNorm2d(3), nn.Flatten(), nn.Linear(48, 3)).double().eval()
    with switch_off("prepare_nothing"):
        copy = xnb.prepare(net, x)
    assert isinstance(copy[1], nn.BatchNorm2d)
    assert isinstance(xnb.prepare(net, x)[1], nn.Identity)
