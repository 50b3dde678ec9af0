"""Passes and notes are counted for whoever asks, the innermost block alone."""

import pytest

import xnb
from xnb.access.ledger import add_passes, collect_notes, count_passes, leave_note
from xnb.access.score import input_gradient, score


def test_passes_are_inputs_run_forward_and_backward(model, x, target):
    with count_passes() as passes:
        score(model, x, target)
        input_gradient(model, x, target, chunk=2)
    assert (passes.forward, passes.backward) == (10, 5)


def test_an_inner_block_counts_for_itself_alone():
    with count_passes() as outer:
        add_passes(forward=1)
        with count_passes() as inner:
            add_passes(forward=2, backward=3)
            leave_note(standard_error=0.5)
        add_passes(backward=4)
    assert (outer.forward, outer.backward, outer.notes) == (1, 4, {})
    assert (inner.forward, inner.backward, inner.notes) == (2, 3, {"standard_error": 0.5})


def test_without_a_block_nothing_is_kept():
    add_passes(forward=1)
    leave_note(standard_error=0.5)
    with count_passes() as passes:
        pass
    assert (passes.forward, passes.backward, passes.notes) == (0, 0, {})


def test_notes_are_collected_and_reach_whoever_counts_outside():
    with count_passes() as outer:
        with collect_notes() as notes:
            add_passes(forward=2, backward=3)
            leave_note(standard_error=0.5)
        add_passes(forward=1)
    assert notes == {"standard_error": 0.5}
    assert (outer.forward, outer.backward, outer.notes) == (3, 3, notes)


def test_an_explanation_is_counted_by_whoever_asks(model, x, target):
    with count_passes() as passes:
        ledger = xnb.explain(model, x, target, ["gradient", "integrated_gradients"]).ledger
    assert passes.forward == round(ledger.forward.sum() * len(x)) > 0
    assert passes.backward == round(ledger.backward.sum() * len(x)) > 0


def test_trials_of_lint_are_counted_by_whoever_asks(model, x):
    with count_passes() as passes:
        xnb.lint(model, x)
    assert passes.forward > 39
    assert passes.backward > 0


def run_and_fail():
    with collect_notes():
        add_passes(forward=2)
        raise ZeroDivisionError


def test_passes_of_a_block_that_fails_are_counted():
    with count_passes() as outer, pytest.raises(ZeroDivisionError):
        run_and_fail()
    assert outer.forward == 2
