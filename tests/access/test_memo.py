"""Equal questions are answered once within a block, and only there."""

import torch

from xnb.access.at_layer import activation_and_gradient, leave_at_layer
from xnb.access.ledger import count_passes
from xnb.access.memo import answer_once, leave_answer, remember_answers
from xnb.access.score import input_gradient, leave_gradient, logits, score


def test_without_a_block_every_question_is_answered_anew():
    answers = iter(range(9))
    leave_answer(("question",), 5)
    assert [answer_once(("question",), lambda: next(answers)) for _ in range(2)] == [0, 1]


def test_within_a_block_the_same_question_is_answered_once():
    answers = iter(range(9))
    first, equal = torch.ones(3), torch.ones(3)
    with remember_answers():
        asked = [answer_once(("question", tensor, 1), lambda: next(answers)) for tensor in (first, first, equal)]
        other = answer_once(("question", first, 2), lambda: next(answers))
    assert asked == [0, 0, 1]
    assert other == 2


def test_another_model_of_the_same_class_is_another_question(x, target):
    with torch.random.fork_rng():
        first, second = (torch.nn.Sequential(torch.nn.Flatten(), torch.nn.Linear(72, 3)).double().eval() for _ in "ab")
    with remember_answers():
        answers = [score(each, x, target) for each in (first, second, first)]
    assert answers[0] is answers[2]
    torch.testing.assert_close(answers[1], second(x).gather(1, target[:, None])[:, 0].detach())


def test_an_inner_block_has_answers_of_its_own():
    with remember_answers():
        leave_answer(("question",), "outer")
        with remember_answers():
            assert answer_once(("question",), lambda: "inner") == "inner"
        assert answer_once(("question",), lambda: "another") == "outer"


def test_what_was_left_is_not_run(model, x, target):
    gradient, out = input_gradient(model, x, target), logits(model, x)
    at_layer = activation_and_gradient(model, x, target, "2")
    with remember_answers(), count_passes() as passes:
        leave_gradient(model, x, target, gradient, out)
        leave_at_layer(model, x, target, "2", at_layer)
        assert input_gradient(model, x, target) is gradient
        assert torch.equal(score(model, x, target), out.gather(1, target[:, None]).squeeze(1))
        assert activation_and_gradient(model, x, target, "2") is at_layer
    assert (passes.forward, passes.backward) == (0, 0)
