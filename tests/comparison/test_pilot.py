"""What a comparison will cost: passes as they then are, and seconds that grow as the work does."""

import pytest
import torch
from networks import Counted
from small_sweep import KNOBS, METHODS, METRICS

import xnb
from xnb.access.ledger import count_passes
from xnb.comparison import estimate_cost
from xnb.comparison.pilot import Cost, Measured, extend_block, share_seconds
from xnb.data import Part, Streamed

SETTINGS = {"methods": METHODS, "metrics": METRICS, "knobs": KNOBS, "batch": 2}


@pytest.mark.parametrize("pilot", [2, 4, 16])
def test_passes_are_those_that_the_comparison_then_runs(pilot, model, part):
    cost = estimate_cost(model, part, **SETTINGS, pilot=pilot)
    with count_passes() as passes:
        xnb.compare(model, part, **SETTINGS)
    assert (cost.images, cost.workers) == (5, 0)
    assert cost.forward == pytest.approx(passes.forward)
    assert cost.backward == pytest.approx(passes.backward)
    assert cost.seconds > 0


def test_several_models_cost_what_each_does(model, part):
    one, two = estimate_cost(model, part, **SETTINGS), estimate_cost([model, model], part, **SETTINGS)
    assert two.images == 10
    assert two.forward == 2 * one.forward


def test_only_a_few_inputs_are_run(model, part):
    counted = Counted(model).eval()
    many = Part(part.x.repeat(40, 1, 1, 1), part.y.repeat(40), part.masks.repeat(40, 1, 1, 1))
    cost = estimate_cost(counted, many, **SETTINGS)
    assert counted.forwards < cost.forward / 20


def test_streamed_data_are_not_read_through(model, part):
    read = []

    def look(item):
        read.append(1)
        return item

    items = list(zip(part.x.repeat(60, 1, 1, 1), part.y.repeat(60), strict=True))
    estimate_cost(model, Streamed(items, read=look), **SETTINGS)
    assert len(read) < 20


def test_it_leaves_threads_and_random_numbers_as_they_were(model, part):
    threads, state = torch.get_num_threads(), torch.get_rng_state()
    estimate_cost(model, part, **SETTINGS, workers=2)
    assert torch.get_num_threads() == threads
    assert torch.equal(torch.get_rng_state(), state)


def test_a_block_grows_on_the_line_through_two():
    small, large = Measured(1, 10.0, 2.0, 1.0, 50.0), Measured(4, 40.0, 8.0, 2.5, 80.0)
    assert extend_block(small, large, 16) == (16, 160, 32, 8.5, 200)
    assert extend_block(small, small, 16) == small
    # noise must not make a larger block cheaper
    assert extend_block(Measured(1, 10.0, 2.0, 3.0, 50.0), large, 16).seconds == 3.0


def test_workers_share_whole_blocks():
    """Ten seconds in five blocks: two workers need three rounds, and some seconds to start."""
    assert share_seconds(10.0, 5, 2) - share_seconds(0.0, 5, 2) == pytest.approx(6)
    assert share_seconds(10.0, 5, 5) - share_seconds(0.0, 5, 5) == pytest.approx(2)
    assert share_seconds(10.0, 5, 50) == share_seconds(10.0, 5, 5)


def test_it_says_so_in_a_line():
    cost = Cost(50_000, 1.5e7, 2e6, 7_380.0, 812.4, 2)
    assert str(cost) == (
        "50,000 inputs, 15,000,000 forward and 2,000,000 backward passes, 2 h 3 min in 2 workers, 812 MiB"
    )
    assert "75.0 s" not in str(Cost(1, 1.0, 1.0, 75.0, 1.0, 0))
    assert "1 min 15 s in this process" in str(Cost(1, 1.0, 1.0, 75.0, 1.0, 0))


@pytest.mark.parametrize(("wrong", "rule"), [({"pilot": 1}, "pilot must be"), ({"workers": -1}, "workers must be")])
def test_what_makes_no_sense_is_refused(wrong, rule, model, part):
    with pytest.raises(ValueError, match=rule):
        estimate_cost(model, part, **SETTINGS, **wrong)
