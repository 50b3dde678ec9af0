"""Maps whose sign is no evidence are measured twice: as they are and by their size.

Tests: xnb.comparison.signs
"""

from functools import partial

import numpy as np
import pytest
import torch
from networks import Counted
from small_sweep import CONTROLS, METRICS, mean_of_map
from torch import nn

import xnb
from xnb import METHODS, checkpoints, data
from xnb.comparison import estimate_differences, intervals, ranks
from xnb.comparison.signs import look_up_sign

SIGNS = {name: card.sign for name, card in METHODS.cards.items()}


@pytest.mark.parametrize("name", sorted(name for name, sign in SIGNS.items() if sign == "none"))
def test_what_has_no_sign_is_never_negative(name, model, x, target):
    assert (xnb.attribute(model, x, target, name) >= 0).all()


@pytest.mark.parametrize("name", sorted(name for name, sign in SIGNS.items() if sign != "none"))
def test_what_has_a_sign_uses_it(name, model, x, target):
    assert (xnb.attribute(model, x, target, name) < 0).any()


@pytest.mark.parametrize("name", ["gradient", "smoothgrad", "gradient_times_input", "integrated_gradients", "lrp"])
def test_a_direction_stays_where_evidence_turns(name):
    """On f = w x every piece of evidence w_i x_i changes sides with x; the direction w does not."""
    with torch.random.fork_rng():
        torch.manual_seed(0)
        linear = nn.Linear(8, 3, bias=False).double().eval()
    x = torch.randn(4, 8, dtype=torch.double, generator=torch.Generator().manual_seed(0))
    side = 1 if SIGNS[name] == "direction" else -1
    there, here = (xnb.attribute(linear, z, 1, name) for z in (-x, x))
    torch.testing.assert_close(there, side * here)


def test_class_activation_maps_keep_a_sign_when_asked():
    assert look_up_sign(METHODS["grad_cam"]) == "none"
    assert look_up_sign(partial(METHODS["grad_cam"], signed=True)) == "evidence"
    assert look_up_sign(mean_of_map) == "evidence"


class TestTable:
    methods = ("gradient", "gradient_times_input", "vargrad")

    def listed(self, model, part, **more):
        table = xnb.compare(model, part, self.methods, [mean_of_map], **more)
        table = table[~table["method"].isin(CONTROLS)]
        return dict(zip(table["method"], table["sign"], strict=True))

    def test_both_signed_or_magnitude(self, model, part):
        signed = {"gradient": "signed", "gradient_times_input": "signed", "vargrad": "magnitude"}
        by_size = {"gradient, magnitude": "magnitude"}
        assert self.listed(model, part) == signed | by_size
        assert self.listed(model, part, signs="signed") == signed
        by_size |= {"gradient_times_input, magnitude": "magnitude", "vargrad": "magnitude"}
        assert self.listed(model, part, signs="magnitude") == by_size

    def test_values_are_those_of_the_size_and_statistics_take_two_methods(self, model, part):
        table = xnb.compare(model, part, ["gradient"], ["srg", "sparseness"], target=0)
        by_hand = {"sizes": lambda *given: METHODS["gradient"](*given).abs()}
        expected = xnb.compare(model, part, by_hand, ["srg", "sparseness"], target=0)
        found = table.loc[table["method"] == "gradient, magnitude", "value"]
        np.testing.assert_array_equal(found, expected.loc[expected["method"] == "sizes", "value"])
        assert {"gradient", "gradient, magnitude"} <= set(ranks(table).index) & set(intervals(table)["method"])

    def test_a_metric_that_explains_again_does_so_by_size(self, model, part):
        table = xnb.compare(model, part, ["gradient"], ["max_sensitivity"], target=0)
        by_hand = {"sizes": lambda *given: METHODS["gradient"](*given).abs()}
        expected = xnb.compare(model, part, by_hand, ["max_sensitivity"], target=0)
        found = table.loc[table["method"] == "gradient, magnitude", "value"]
        np.testing.assert_array_equal(found, expected.loc[expected["method"] == "sizes", "value"])

    def test_the_method_runs_once(self, model, part):
        def passes(signs):
            counted = Counted(model).eval()
            xnb.compare(counted, part, ["smoothgrad"], [mean_of_map], signs=signs)
            return counted.forwards

        assert passes("both") == passes("signed")

    def test_a_label_of_the_user_goes_first(self, model, part):
        methods = {"gradient": "gradient", "gradient, magnitude": "vargrad"}
        table = xnb.compare(model, part, methods, [mean_of_map], target=0)
        expected = xnb.compare(model, part, ["vargrad"], [mean_of_map], target=0)
        found = table.loc[table["method"] == "gradient, magnitude", "value"]
        np.testing.assert_array_equal(found, expected.loc[expected["method"] == "vargrad", "value"])

    @pytest.mark.usefixtures("as_users_run")
    def test_other_words_are_refused(self, model, part):
        with pytest.raises(ValueError, match=r"signs must be one of(.|\n)*try: signs=\"both\""):
            xnb.compare(model, part, ["gradient"], METRICS, signs="absolute")


def test_the_size_of_the_gradient_says_where_the_network_looks_and_its_sign_does_not():
    """Of a stored network on 24 pictures: the gap of the gradient is about 0, that of its size above 5."""
    part = data.shapes(n=(0, 24), seed=5).test
    table = xnb.compare(checkpoints.load("smallcnn-shapes"), part, ["gradient"], ["srg"], knobs={"srg": {"steps": 4}})
    found = intervals(table).set_index("method")
    assert found.loc["gradient", "low"] < 0.5
    assert found.loc["gradient, magnitude", "low"] > 4
    less = estimate_differences(table, "gradient, magnitude").set_index("method")
    assert less.loc["gradient", "high"] < -4
