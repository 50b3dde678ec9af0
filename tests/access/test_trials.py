"""A trial runs a few changes and counts all: what it costs is told as it is, at a small part of the price."""

import pytest
import torch
from networks import Counted

from xnb.access.ledger import count_passes
from xnb.access.score import changed_gradients, changed_scores
from xnb.access.trials import count_run_changes, is_trial, run_first_changes
from xnb.methods import METHODS

MANY = sorted(set("smoothgrad vargrad expected_gradients integrated_gradients rise lime kernel_shap".split()))


def test_without_a_trial_everything_is_run():
    assert (count_run_changes(7), is_trial()) == (7, False)
    with run_first_changes(3):
        assert (count_run_changes(7), count_run_changes(2), is_trial()) == (3, 2, True)
    assert not is_trial()


@pytest.mark.parametrize("name", MANY)
@pytest.mark.parametrize("inputs", [1, 5])
def test_a_trial_counts_the_whole_call_and_runs_a_few_passes(name, inputs, model, x, target):
    x, target = x[:inputs], target[:inputs]
    with count_passes() as whole:
        METHODS[name](model, x, target)
    counted = Counted(model).eval()
    with count_passes() as tried, run_first_changes(4):
        a = METHODS[name](counted, x, target)
    assert (tried.forward, tried.backward) == (whole.forward, whole.backward)
    assert counted.forwards <= inputs * (4 + 3)
    assert a.isfinite().all()


def test_the_first_score_stands_for_those_that_are_not_run(model, x, target):
    def fade(draws, rows):
        share = torch.arange(draws.start, draws.stop).view(-1, 1, 1, 1, 1) / 9
        return x[rows] * share

    whole = changed_scores(model, x, target, fade, 9)
    with run_first_changes(3):
        tried = changed_scores(model, x, target, fade, 9)
    torch.testing.assert_close(tried[:3], whole[:3])
    torch.testing.assert_close(tried[3:], whole[:1].expand(6, -1))


@pytest.mark.parametrize("chunk", [2, None])
def test_gradients_come_for_every_draw_of_every_row(chunk, model, x, target):
    def fade(draws, rows):
        share = torch.arange(draws.start, draws.stop).view(-1, 1, 1, 1, 1) / 9
        return x[rows] * share

    seen = torch.zeros(9, 5)
    with run_first_changes(4), count_passes() as passes:
        for draws, rows, gradients in changed_gradients(model, x, target, fade, 9, chunk=chunk):
            assert gradients.shape == (draws.stop - draws.start, len(x[rows]), *x.shape[1:])
            seen[draws, rows] += 1
    assert (seen == 1).all()
    assert (passes.forward, passes.backward) == (45, 45)
