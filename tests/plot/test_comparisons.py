"""Charts of a comparison draw its table, controls apart from the rest."""

import pandas as pd
import pytest
from matplotlib.figure import Figure

from xnb import plot
from xnb.plot.comparisons import spread_apart


@pytest.fixture
def ax():
    return Figure().subplots()


def test_intervals(ax):
    table = pd.DataFrame({"method": ["a", "edges"], "mean": [1.0, 2.0], "low": [0.5, 1.0], "high": [2.0, 3.0]})
    plot.intervals(table, ax, label="score", controls=["edges"])
    spans, points = ax.lines[::2], ax.lines[1::2]
    assert [list(line.get_xdata()) for line in spans] == [[0.5, 2], [1, 3]]
    assert [list(line.get_xdata()) for line in points] == [[1], [2]]
    assert [t.get_text() for t in ax.get_yticklabels()] == ["a", "edges"]
    assert ax.yaxis_inverted()
    assert [line.get_color() == plot.GREY for line in spans] == [False, True]


def test_bump_names_every_row_at_both_ends_and_ties_together(ax):
    ranks = pd.DataFrame({"m": [1.0, 2.5, 2.5], "n": [3.0, 1.0, 2.0]}, index=["a", "b", "edges"])
    plot.bump(ranks, ax, controls=["edges"])
    assert [list(line.get_ydata()) for line in ax.lines] == [[1, 3], [2.5, 1], [2.5, 2]]
    assert [line.get_linestyle() for line in ax.lines] == ["-", "-", "--"]
    assert [(t.get_text(), t.xy) for t in ax.texts] == [
        ("a", (0, 1)),
        ("b, edges", (0, 2.5)),
        ("b", (1, 1)),
        ("edges", (1, 2)),
        ("a", (1, 3)),
    ]
    assert ax.yaxis_inverted()


def test_agreement_shows_each_pair_once(ax):
    table = pd.DataFrame([[1, 0.5, -1], [0.5, 1, -0.04], [-1, -0.04, 1]], index=list("abc"), columns=list("abc"))
    plot.agreement(table, ax)
    assert [t.get_text() for t in ax.texts] == ["0.5", "-1.0", "0.0"]
    assert [t.get_text() for t in ax.get_yticklabels()] == ["b", "c"]
    assert ax.collections[0].get_clim() == (-1, 1)


def test_front_fills_and_joins_what_is_on_it(ax):
    table = pd.DataFrame({"cost": [9.0, 0, 3], "value": [2.0, 1, 1], "front": [True, True, False]}, list("abc"))
    plot.front(table, ax, cost="passes", value="gap", controls=["b"])
    step, *points = ax.lines
    assert list(step.get_xdata()) == [0, 9]
    assert [line.get_markerfacecolor() for line in points][2] == "white"
    assert [line.get_markerfacecolor() == plot.GREY for line in points] == [False, True, False]
    assert [t.get_text() for t in ax.texts] == ["b", "c", "a"]


def test_front_names_points_that_coincide_in_one_line(ax):
    table = pd.DataFrame({"cost": [3.0, 3, 9], "value": [1.0, 1, 2], "front": [True, True, True]}, list("abc"))
    plot.front(table, ax, cost="passes", value="gap")
    assert [t.get_text() for t in ax.texts] == ["a, b", "c"]


def test_bump_colours_what_is_to_be_followed_and_greys_the_rest(ax):
    ranks = pd.DataFrame({"m": [1.0, 2, 3], "n": [3.0, 1, 2]}, index=["a", "b", "edges"])
    plot.bump(ranks, ax, controls=["edges"], highlight=["b"])
    assert [line.get_color() == plot.GREY for line in ax.lines] == [True, False, True]
    assert [line.get_linestyle() for line in ax.lines] == ["-", "-", "--"]
    assert {t.get_text(): t.get_color() for t in ax.texts} == {"a": "0.45", "b": "black", "edges": "0.45"}


@pytest.fixture
def spent():
    rows = [("ig", 12, 1.0), ("ig", 48, 2.0), ("rise", 512, 2.01), ("rise", 32, 0.0), ("lrp", 3, 5.0), ("cam", 3, 5.0)]
    table = pd.DataFrame(rows, columns=["method", "cost", "mean"])
    return table.assign(low=table["mean"] - 0.5, high=table["mean"] + 1)


def test_budgets_join_the_costs_of_a_method(ax, spent):
    plot.budgets(spent, ax, cost="passes", value="gap")
    lines = {tuple(line.get_xdata()): list(line.get_ydata()) for line in ax.lines if line.get_marker() in "os^Dv"}
    assert lines[(12, 48)] == [1, 2]
    assert lines[(32, 512)] == [0, 2.01]
    single = sorted(costs[0] for costs in lines if len(costs) == 1)
    assert single == pytest.approx([3, 3 * 1.13])  # side by side
    assert ax.get_xscale() == "log"


def test_names_of_budgets_do_not_collide(ax, spent):
    plot.budgets(spent, ax, cost="passes", value="gap")
    heights = {text.get_text(): text.xy for text in ax.texts}
    line = 0.05 * abs(ax.get_ylim()[1] - ax.get_ylim()[0])
    assert heights["rise"][0] == heights["ig"][0] == 512
    assert heights["rise"][1] - heights["ig"][1] >= line
    assert abs(heights["lrp"][1] - heights["cam"][1]) >= line
    assert heights["lrp"][0] == heights["cam"][0] == pytest.approx(3)


@pytest.mark.parametrize(
    ("heights", "expected"),
    [
        ([], []),
        ([0.0, 5.0], [0, 5]),
        ([1.0, 1.0], [0.5, 1.5]),
        ([0.0, 0.0, 0.0], [-1, 0, 1]),
        ([0.0, 0.9, 1.0], [-0.3666667, 0.6333333, 1.6333333]),
    ],
)
def test_heights_that_are_too_close_are_moved_apart_about_their_mean(heights, expected):
    found = spread_apart(heights, 1.0)
    assert found == pytest.approx(expected)
    assert sum(found) == pytest.approx(sum(heights))
