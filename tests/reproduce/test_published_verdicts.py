"""Three words by three rules.

Tests: reproduce.verdicts
"""

import pytest

from reproduce.verdicts import NOT, SAME, WITHIN, Figure, Measurement, count_words, judge_column


def around(value, half=0.01):
    return Measurement(value, value - half, value + half)


def judge(figures, measured):
    return {name: judgement.word for name, judgement in judge_column(figures, measured).items()}


def test_an_interval_that_reaches_two_spreads_is_within():
    figures = {"a": Figure(0.5, 0.05), "b": Figure(0.5)}
    assert judge(figures, {"a": around(0.605), "b": around(0.509)}) == {"a": WITHIN, "b": WITHIN}


def test_farther_off_sign_and_order_decide():
    figures = {"a": Figure(-0.5), "b": Figure(0.4)}
    assert judge(figures, {"a": around(-0.2), "b": around(0.9)}) == {"a": SAME, "b": SAME}


def test_another_sign_is_said():
    judged = judge_column({"a": Figure(-0.5)}, {"a": around(0.2)})["a"]
    assert judged == (NOT, "another sign: 0.2 where -0.5 is printed")


def test_a_number_near_zero_has_no_sign():
    assert judge({"a": Figure(-0.01, 0.01)}, {"a": around(0.2)}) == {"a": SAME}


def test_another_order_names_the_row():
    figures = {"a": Figure(1.0), "b": Figure(2.0)}
    judged = judge_column(figures, {"a": around(4.0), "b": around(3.0)})
    assert judged["a"].because == "another order: above b"
    assert judged["b"].because == "another order: below a"


def test_rows_that_the_paper_does_not_tell_apart_have_no_order():
    figures = {"a": Figure(1.0, 0.5), "b": Figure(2.0, 0.5)}
    assert judge(figures, {"a": around(9.0), "b": around(8.0)}) == {"a": SAME, "b": SAME}


@pytest.mark.parametrize(("words", "text"), [([WITHIN, NOT, WITHIN], f"{WITHIN}: 2 · {NOT}: 1"), ([], "")])
def test_words_are_counted_in_order(words, text):
    assert count_words(words) == text
