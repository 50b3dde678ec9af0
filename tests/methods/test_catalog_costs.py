"""What the catalog says that a method costs, beside the passes that are counted: for each input more, and for none.

Tests: xnb.methods.registry
"""

import re

import numpy as np
import pytest
import torch
from torch import nn

from xnb import METHODS, models
from xnb.access.ledger import count_passes

F, B = np.array([1, 0]), np.array([0, 1])
REGIONS = torch.arange(8)[None, None] // 2  # four
KNOBS = {
    "smoothgrad": {"samples": 4},
    "vargrad": {"samples": 4},
    "expected_gradients": {"samples": 4},
    "integrated_gradients": {"steps": 6},
    "rise": {"samples": 8},
    "lime": {"samples": 8, "regions": REGIONS},
    "occlusion": {"window": 4, "stride": 2},
    "feature_ablation": {"regions": REGIONS},
    "kernel_shap": {"samples": 10, "regions": REGIONS},
    "permutation_shapley": {"samples": 3, "regions": REGIONS},
    "exact_shapley": {"regions": REGIONS},
}
# four regions, channels, tokens with a piece; windows of 4 on 8 pixels begin at 0, 2 and 4
SIZES = {"M": 4, "D": 4, "N": 4, "H": 6, "W": 6}


def make_model(name):
    """A network of pictures, and for attention one whose tokens are pieces of them."""
    with torch.random.fork_rng():
        torch.manual_seed(0)
        if name == "leave_one_out":
            return models.FeatureAttention(7).eval().double(), (7,)
        if METHODS.cards[name].family == "attention":
            vit = models.ViT(size=8, patch=4, channels=2, classes=3, width=8, heads=2, depth=3)
            return vit.eval().double(), (2, 8, 8)
        convolutions = [nn.Conv2d(2, 5, 3, padding=1), nn.ReLU(), nn.Conv2d(5, 4, 3), nn.ReLU()]
        return nn.Sequential(*convolutions, nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(4, 3)).eval().double(), (
            2,
            8,
            8,
        )


def count(name, inputs, **knobs):
    """Passes forward and backward that so many inputs take."""
    model, shape = make_model(name)
    x = torch.rand(inputs, *shape, generator=torch.Generator().manual_seed(1), dtype=torch.double)
    target = torch.zeros(inputs, dtype=torch.long)
    with count_passes() as passes:
        METHODS[name](model, x, target, **KNOBS.get(name, {}), **knobs)
    return np.array([passes.forward, passes.backward])


def read_formula(name):
    """The formula of the catalog with its letters filled in; what is written side by side is multiplied."""
    formula, *words = re.split(r", | from ", METHODS.cards[name].cost, maxsplit=1)
    if formula == "none":
        return np.array([0, 0]), ""
    product = re.sub(r"(?<=[\w)]) (?=[\w(])", " * ", formula)
    return eval(product, {"F": F, "B": B, **SIZES, **KNOBS.get(name, {})}), "".join(words)


@pytest.mark.parametrize("name", METHODS)
def test_each_further_input_costs_what_the_catalog_says(name):
    each, words = read_formula(name)
    baseline = {"baseline": lambda x: x.flip(0)} if name == "deep_lift" else {}  # to each its own
    three, five = count(name, 3, **baseline), count(name, 5, **baseline)
    assert ((five - three) / 2).tolist() == np.asarray(each).tolist()
    rest = three - 3 * np.asarray(each)
    if "look" in words:
        assert 0 < rest.sum() < 32
    elif name == "token_occlusion":
        assert rest.tolist() == [0, 18]  # slopes of five tokens at an input, at noise and its mirror: where they lie
    elif METHODS.cards[name].family == "cam":
        assert rest.tolist() in ([0, 0], [1, 0])  # which axes of a layer are channels, seen once
    else:
        assert rest.tolist() == [0, 0]


def test_a_baseline_that_all_share_runs_once():
    assert count("deep_lift", 5).tolist() == [6, 5]
    assert count("deep_lift", 1).tolist() == [2, 1]
    assert "shared baseline" in METHODS.cards["deep_lift"].cost
