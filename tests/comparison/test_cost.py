"""The passes of a comparison are told before it runs: those that it then takes."""

import torch
from networks import Counted
from small_sweep import METRICS

import xnb
from xnb import progress
from xnb.access.ledger import count_passes
from xnb.comparison import cost
from xnb.comparison.plan import make_plan


def planned(model, part, **knobs):
    options = {"images": None, "target": None, "seed": 0, "knobs": knobs, "batch": 2}
    plan = make_plan([model], part, ["occlusion", "smoothgrad"], METRICS, **options)
    return plan, plan.blocks()[0], {method: list(plan.functions.metrics) for method in plan.functions.methods}


def test_the_passes_of_one_image_are_those_of_the_comparison(model, part):
    """Of each of five images; the prediction and what metrics share is counted as it will run."""
    plan, _block, metrics = planned(model, part)
    counted = Counted(model).eval()
    with count_passes() as whole:
        xnb.compare(counted, part, ["occlusion", "smoothgrad"], METRICS, batch=1)
    tried = cost._try_image(plan, plan.read_block(0, slice(0, 1)), metrics)
    assert tried.forward == whole.forward / 5
    assert tried.backward == whole.backward / 5
    assert counted.forwards == whole.forward


def test_a_trial_runs_a_few_of_them(model, part):
    counted = Counted(model).eval()
    plan, _, metrics = planned(counted, part)
    tried = cost._try_image(plan, plan.read_block(0, slice(0, 1)), metrics)
    assert counted.forwards < tried.forward / 4


def test_one_line_where_it_will_take_long(model, part, monkeypatch, capfd):
    monkeypatch.setattr(progress, "PATIENCE_SECONDS", 0.0)
    monkeypatch.setattr(progress, "MANY_PASSES", 100)
    plan, block, metrics = planned(model, part)
    tried = cost._try_image(plan, plan.read_block(0, slice(0, 1)), metrics)
    cost.announce_cost(plan, block, metrics)
    line = f"compare: {tried.forward + tried.backward:,} passes of each of 5 inputs; try images=8"
    assert capfd.readouterr().err.strip() == line


def test_what_is_quick_is_not_tried(model, part, monkeypatch, capfd):
    monkeypatch.setattr(progress, "PATIENCE_SECONDS", 1e9)
    counted = Counted(model).eval()
    cost.announce_cost(*planned(counted, part))
    assert counted.forwards == 1
    assert capfd.readouterr().err == ""


def test_a_trial_leaves_no_value_behind(model, part, monkeypatch):
    """Values after a trial are those without one, to the last bit."""
    before = xnb.compare(model, part, ["smoothgrad"], METRICS)["value"]
    monkeypatch.setattr(cost, "is_quick", lambda seconds: False)
    assert torch.equal(
        torch.tensor(xnb.compare(model, part, ["smoothgrad"], METRICS)["value"].to_numpy()),
        torch.tensor(before.to_numpy()),
    )
