"""Answers that several calls share: within `remember_answers`, an equal question to a model is computed once.

A question is a tuple: its name, the model, the tensors and the settings on which the answer depends. Only the file
that asks a question builds its tuple; another that comes by the answer leaves it through a function of that file
(`score.leave_gradient`, `at_layer.leave_at_layer`).
"""

from collections.abc import Callable, Hashable, Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from typing import TypeVar

from xnb.access.rows import current_selection

Answer = TypeVar("Answer")
_ANSWERS: ContextVar[dict | None] = ContextVar("answers", default=None)


@contextmanager
def remember_answers() -> Iterator[None]:
    """Within the block, the same question about the same model and tensors is answered once."""
    token = _ANSWERS.set({})
    try:
        yield
    finally:
        _ANSWERS.reset(token)


def answer_once(question: tuple, compute: Callable[[], Answer]) -> Answer:
    """`compute()`, or the answer to the same question from earlier in the block of `remember_answers`."""
    answers = _ANSWERS.get()
    if answers is None:
        return compute()
    key = _make_key(question)
    if key not in answers:
        leave_answer(question, compute())
    _, answer = answers[key]
    return answer


def leave_answer(question: tuple, answer: object) -> None:
    """Leave an answer for whoever asks later in the block of `remember_answers`, if there is one."""
    answers = _ANSWERS.get()
    if answers is not None:
        # the question stays too: while its tensors live, their ids are theirs alone
        answers[_make_key(question)] = ((current_selection(), *question), answer)


def _make_key(question: tuple) -> tuple[Hashable, ...]:
    """The question with models and tensors by identity: to compare tensors by value would cost as much as a pass."""
    key: list[Hashable] = [id(current_selection())]  # other rows of a batch are another question
    for part in question:
        by_value = isinstance(part, str | int | float | tuple)
        key.append(part if by_value else id(part))
    return tuple(key)
