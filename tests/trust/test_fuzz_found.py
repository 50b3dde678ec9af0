"""What the fuzz has found: each with its right answer, or its refusal."""

import numpy as np
import pytest
import torch
from fuzz_cases import Case, make_scope
from fuzz_judge import judge
from networks import with_attention
from torch import nn

import xnb
from xnb import METHODS, attribute
from xnb.metrics import METRICS

pytestmark = pytest.mark.usefixtures("as_users_run")
CLASSES = torch.tensor([0, 1, 2, 3, 0])


def network(first, name=""):
    """One whose first module is given; of four classes."""
    attentive = with_attention(name)
    if attentive is not None:
        return nn.Sequential(first, attentive).eval()
    with torch.random.fork_rng():
        torch.manual_seed(0)
        body = [nn.Conv2d(2, 4, 3, padding=1), nn.ReLU(), nn.AdaptiveAvgPool2d(3), nn.Flatten(), nn.Linear(36, 4)]
    return nn.Sequential(first, *body).double().eval()


@pytest.mark.parametrize("name", sorted(METHODS))
def test_a_first_module_that_works_in_place_reaches_no_pixel_of_the_caller(name, x):
    before, target = x.clone(), CLASSES % 3
    found = attribute(network(nn.ReLU(inplace=True), name), x, target, name)
    assert torch.equal(x, before)
    torch.testing.assert_close(found, attribute(network(nn.ReLU(), name), x, target, name))


def ask(name, net, x, other=None):
    masks = torch.zeros(5, 1, 6, 6, dtype=torch.bool)
    masks[:, :, 1:4, 2:4] = True
    a = torch.randn(x.shape, generator=torch.Generator().manual_seed(0), dtype=torch.double)
    every = {"masks": masks, "method": METHODS["gradient"], "other": other or network(nn.Tanh())}
    return METRICS[name](net, x, CLASSES, a, **{asked: every[asked] for asked in METRICS.cards[name].asks})


@pytest.mark.parametrize("name", sorted(METRICS))
def test_nor_under_a_metric(name, x):
    before = x.clone()
    found = ask(name, network(nn.ReLU(inplace=True)), x)
    assert torch.equal(x, before)
    torch.testing.assert_close(found, ask(name, network(nn.ReLU()), x), equal_nan=True)


@pytest.mark.parametrize(
    "call",
    [
        "xnb.access.score.logits(net, x)",
        "xnb.access.score.score(net, x, target)",
        "xnb.lint(net, x)",
        "xnb.prepare(net, x)",
        "xnb.explain(net, x, target, ['gradient', 'occlusion'])",
        "xnb.attribute_all(net, x, 'occlusion')",
        "xnb.compare(net, xnb.data.Part(x, target), ['gradient'], ['deletion'])",
    ],
)
def test_nor_by_any_other_call(call, x):
    before = x.clone()
    eval(call, {"xnb": xnb, "net": network(nn.ReLU(inplace=True)), "x": x, "target": CLASSES})
    assert torch.equal(x, before)


@pytest.mark.parametrize("name", ["gradient", "integrated_gradients", "occlusion", "lrp", "grad_cam", "deep_lift"])
def test_an_inference_tensor_is_explained_as_any_other(name, model, x, target):
    with torch.inference_mode():
        inferred = x.clone()
    assert torch.equal(attribute(model, inferred, target, name), attribute(model, x, target, name))


@pytest.mark.parametrize("name", sorted(METRICS))
def test_scores_have_the_dtype_of_the_input_whatever_the_map_is_of(name, x):
    x = x.float()
    net = network(nn.Tanh()).float()
    masks = torch.zeros(5, 1, 6, 6, dtype=torch.bool)
    masks[:, :, 1:4, 2:4] = True
    every = {"masks": masks, "method": METHODS["gradient"], "other": network(nn.ReLU()).float()}
    asked = {name: every[name] for name in METRICS.cards[name].asks}
    assert METRICS[name](net, x, CLASSES, x.double(), **asked).dtype == torch.float32


@pytest.mark.parametrize("name", ["road", "mprt", "infidelity", "symmetry", "sensitivity_n"])
def test_draws_do_not_depend_on_the_default_dtype(name, x):
    net, other = network(nn.Tanh()), network(nn.ReLU())
    expected = ask(name, net, x, other)
    torch.set_default_dtype(torch.double)
    try:
        found = ask(name, net, x, other)
    finally:
        torch.set_default_dtype(torch.float)
    torch.testing.assert_close(found, expected, equal_nan=True)


def test_numbers_of_numpy_are_numbers(model, x, target):
    for knobs in ({"window": np.int64(2)}, {"units": np.int64(3)}, {"units": torch.tensor(3)}):
        plain = {knob: int(value) for knob, value in knobs.items()}
        assert torch.equal(
            attribute(model, x, target, "occlusion", **knobs), attribute(model, x, target, "occlusion", **plain)
        )


@pytest.mark.parametrize("dtype", [torch.uint8, torch.int8, torch.int32])
@pytest.mark.parametrize("name", ["random_logit", "efficient_mprt", "max_sensitivity"])
def test_classes_of_any_kind_of_whole_number_reach_a_method_as_indices(name, dtype, x):
    def pick(model, x, target):
        return model(x).gather(1, target[:, None])[:, :, None, None].expand_as(x[:, :1]).detach() * x

    def measure(target):
        return METRICS[name](network(nn.Tanh()), x, target, pick(network(nn.Tanh()), x, CLASSES), method=pick)

    torch.testing.assert_close(measure(CLASSES.to(dtype)), measure(CLASSES), equal_nan=True)


def test_logits_that_are_no_numbers_are_named(model, x, target):
    with pytest.raises(ValueError, match=r"gradient: the model's logits must be finite\n  got: .*\[0, 1, 2, 3, 4\]"):
        attribute(lambda x: model(x) * torch.nan, x, target, "gradient")


@pytest.mark.parametrize("value", [1.5, ({},), None])
def test_a_composite_of_another_kind_is_refused(value, model, x, target):
    with pytest.raises(ValueError, match="lrp: composite must be"):
        attribute(model, x, target, "lrp", composite=value)


def test_one_region_for_all_is_one_region(model, x, target):
    a = attribute(model, x, target, "feature_ablation", regions=-1)
    assert torch.equal(a, attribute(model, x, target, "feature_ablation", regions=torch.zeros(1, 1, 1).long()))


CASES = [
    Case("token_cam", "tokens", (2, 1), ("written attention", "class token"), knobs=(("layer", "layers[-1]"),)),
    Case("exact_shapley", knobs=(("regions", "-1"),)),
    Case("feature_ablation", knobs=(("regions", "'word'"),)),
    Case("occlusion", knobs=(("window", "1.5"),)),
]


@pytest.mark.parametrize("case", CASES, ids=lambda case: case.subject)
def test_a_case_that_was_a_fault(case):
    assert make_scope(case)
    assert judge(case)
