"""Which images are compared, and how functions, models and data are recognised."""

from functools import partial

import torch
from small_sweep import mean_of_map
from torch import nn

from xnb.comparison.plan import choose_images, describe_function, fingerprint, make_plan
from xnb.data import Part
from xnb.methods.integrated_gradients import integrated_gradients


def test_images_are_all_or_drawn_or_named():
    assert choose_images(5, None, 0) == [0, 1, 2, 3, 4]
    assert choose_images(5, [3, 1], 0) == [3, 1]
    draws = {tuple(choose_images(5, 3, seed)) for seed in range(5)}
    assert all(list(draw) == sorted(set(draw)) and len(draw) == 3 for draw in draws)
    assert len(draws) > 1


def test_fingerprints():
    w = torch.tensor([1.0, 2.0])
    assert fingerprint([w]) == fingerprint([w.clone()]) != fingerprint([w[None]])
    assert fingerprint([w, None]) != fingerprint([None, w])


def test_functions_are_described_by_module_name_and_knobs():
    text = describe_function(partial(integrated_gradients, steps=3))
    assert text == "xnb.methods.integrated_gradients.integrated_gradients(steps=3)"


def test_knobs_are_described_by_their_content():
    def describe(function, **knobs):
        return describe_function(partial(function, **knobs))

    w = torch.tensor([1.0, 2.0])
    assert describe(integrated_gradients, baseline=w) == describe(integrated_gradients, baseline=w.clone())
    assert describe(integrated_gradients, baseline=w) != describe(integrated_gradients, baseline=w + 1)
    assert describe(mean_of_map, other=nn.Linear(2, 2)) != describe(mean_of_map, other=nn.Linear(2, 2))
    assert describe(mean_of_map, method=mean_of_map) == describe(mean_of_map, method=mean_of_map)


def test_settings_describe_every_method_and_metric():
    part = Part(torch.zeros(2, 1, 4, 4), torch.zeros(2, dtype=torch.long))
    net = nn.Sequential(nn.Flatten(), nn.Linear(16, 2)).eval()
    knobs = {"ig": {"steps": 3}}
    options = {"images": None, "target": None, "seed": 0, "batch": 2}
    plan = make_plan([net], part, {"ig": "integrated_gradients"}, [mean_of_map], knobs=knobs, **options)
    described = plan.settings()
    assert described["methods"].keys() == {"ig", "random", "constant", "input", "edges", "centre"}
    assert described["methods"]["ig"].endswith(".integrated_gradients(steps=3)")
    assert described["metrics"].keys() == {"mean_of_map"}
