"""A bar moved by hand: the verdict is that of the statistics, and the sliders go back to the statement's own bar."""

from datetime import date

import numpy as np
import pytest
from widget_cases import html_of, make_claims, make_values

from xnb.comparison import Verdict, estimate_mean
from xnb.comparison.claims import Bar, Claim
from xnb.widgets import judge


@pytest.fixture
def panel():
    return judge(make_values(), make_claims())


def test_it_begins_with_the_verdict_of_all_trainings(panel):
    estimate, verdict = panel.judge_now()
    assert estimate == estimate_mean(make_values()["above"])
    assert verdict is Verdict.SUPPORTED
    assert "0.70" in html_of(panel)


@pytest.mark.parametrize(("bar", "word"), [(0.55, Verdict.SUPPORTED), (0.7, Verdict.OPEN), (0.9, Verdict.REFUTED)])
def test_the_verdict_follows_the_bar(panel, bar, word):
    panel.controls["bar"].value = bar
    assert panel.judge_now()[1] is word
    assert str(word) in html_of(panel)


def test_below_is_the_other_way_round(panel):
    panel.controls["statement"].value = "below"
    assert panel.judge_now()[1] is Verdict.REFUTED
    panel.controls["bar"].value = panel.controls["bar"].max
    assert panel.judge_now()[1] is Verdict.SUPPORTED


def test_fewer_trainings_know_less(panel):
    whole, _ = panel.judge_now()
    panel.controls["trainings"].value = 3
    part, _ = panel.judge_now()
    assert part == estimate_mean(make_values()["above"][:3])
    assert part.high - part.low > whole.high - whole.low


def test_another_statement_brings_its_own_bar_and_trainings(panel):
    panel.controls["bar"].value = 0.9
    panel.controls["statement"].value = "below"
    assert panel.controls["bar"].value == pytest.approx(0.1)
    assert panel.controls["trainings"].value == panel.controls["trainings"].max == 4
    panel.controls["statement"].value = "above"
    assert panel.controls["bar"].value == pytest.approx(0.5)
    assert panel.controls["trainings"].value == 8


def test_every_bar_can_be_reached(panel):
    """Also the first of a claim whose bar was moved."""
    bars = (Bar(date(2026, 1, 1), 3.0, "far away"), Bar(date(2026, 1, 2), 0.5, "close by"))
    claim = Claim("claim-00-a", "a sentence", "a source", "none", "nothing", "above", bars)
    moved = judge({"x": np.full((2, 3), 0.6)}, {"x": claim})
    assert moved.controls["bar"].min < 0.5 < 3.0 < moved.controls["bar"].max
    assert "3, 0.5" in html_of(moved)


def test_refusals(as_users_run):
    with pytest.raises(ValueError, match="needs a claim of its name\n  got: 'other'"):
        judge({"other": np.zeros((2, 3))}, make_claims())
    with pytest.raises(ValueError, match="two trainings or more"):
        judge({"above": np.zeros(5)}, make_claims())
