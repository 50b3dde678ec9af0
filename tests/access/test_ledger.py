"""Passes and notes are counted for whoever asks, the innermost block alone."""

from xnb.access.ledger import add_passes, count_passes, leave_note
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
