"""A strip of maps, dots by training and a table of verdicts show what they are given, in the order that is promised."""

import numpy as np
import pandas as pd
import pytest
import torch
from matplotlib.colors import to_hex
from matplotlib.figure import Figure

from xnb import plot
from xnb.comparison import Verdict


@pytest.fixture
def ax():
    return Figure().subplots()


MAPS = {"random": torch.rand(1, 8, 8), "lrp": torch.rand(3, 8, 8), "edges": torch.rand(8, 8)}


class TestStrip:
    def test_picture_first_and_controls_last(self):
        axes = Figure().subplots(1, 4)
        plot.strip(torch.rand(3, 8, 8), MAPS, axes, controls=["random", "edges"])
        assert [ax.get_title() for ax in axes] == ["picture", "lrp", "random", "edges"]
        greys = [to_hex(ax.title.get_color()) == to_hex("0.45") for ax in axes]
        assert greys == [False, False, True, True]

    def test_each_map_has_its_own_scale_around_zero(self):
        axes = Figure().subplots(1, 3)
        maps = {"small": np.array([[0.1, -0.2]]), "large": np.array([[30.0, 10.0]])}
        plot.strip(torch.rand(3, 1, 2), maps, axes)
        limits = [ax.images[-1].get_clim() for ax in axes[1:]]
        assert limits == [(-0.2, 0.2), (-30, 30)]

    def test_mask_is_outlined_on_every_map(self):
        axes = Figure().subplots(1, 4)
        mask = torch.zeros(1, 8, 8)
        mask[:, 2:5, 2:5] = 1
        plot.strip(torch.rand(3, 8, 8), MAPS, axes, mask=mask)
        plain = Figure().subplots(1, 4)
        plot.strip(torch.rand(3, 8, 8), MAPS, plain)
        drawn = [len(ax.collections) + len(ax.lines) for ax in axes]
        bare = [len(ax.collections) + len(ax.lines) for ax in plain]
        assert all(with_mask > without for with_mask, without in zip(drawn[1:], bare[1:], strict=True))

    def test_too_few_axes(self):
        with pytest.raises(ValueError, match=r"for each map\n  got: 2\n  try: axes = figure.subplots\(1, 4\)"):
            plot.strip(torch.rand(3, 8, 8), MAPS, Figure().subplots(1, 2))


class TestDots:
    def test_a_dot_each_training_and_the_bound(self, ax):
        plot.dots({"mean": [1.0, 2.0], "random": [0.5]}, ax, label="points", bound=1.5, controls=["random"])
        first, second, bound = ax.lines
        assert (list(first.get_xdata()), list(first.get_ydata())) == ([1, 2], [0, 0])
        assert list(second.get_xdata()) == [0.5]
        assert (first.get_color() == plot.GREY, second.get_color() == plot.GREY) == (False, True)
        assert list(bound.get_xdata()) == [1.5, 1.5]
        assert ax.yaxis_inverted()

    def test_stored_run_is_drawn_beside(self, ax):
        plot.dots({"mean": [1.0, 2.0], "sum": [3.0]}, ax, label="points", stored={"mean": [1.1, 1.9]})
        rings = ax.lines[0]
        assert list(rings.get_xdata()) == [1.1, 1.9]
        assert rings.get_markerfacecolor() == "none"
        assert len(ax.lines) == 3

    def test_the_interval_of_a_mean_is_a_bar_behind_its_dots(self, ax):
        plot.dots({"mean": [1.0, 2.0], "sum": [3.0]}, ax, label="points", spans={"sum": (2.5, 3.5)})
        dots, bar, _ = ax.lines
        assert list(dots.get_xdata()) == [1, 2]
        assert (list(bar.get_xdata()), list(bar.get_ydata())) == ([2.5, 3.5], [1, 1])
        assert bar.get_linewidth() > 3


class TestVerdicts:
    def test_words_and_tints(self, ax):
        words = pd.DataFrame({"a": [Verdict.SUPPORTED, ""], "b": [Verdict.OPEN, Verdict.REFUTED]}, index=["T1", "T2"])
        plot.verdicts(words, ax)
        assert [(text.get_text(), *text.get_position()) for text in ax.texts] == [
            ("supported", 0, 0),
            ("open", 1, 0),
            ("refuted", 1, 1),
        ]
        assert len({to_hex(patch.get_facecolor()) for patch in ax.patches}) == 3
        assert [tick.get_text() for tick in ax.get_yticklabels()] == ["T1", "T2"]

    def test_every_verdict_has_a_tint(self, ax):
        plot.verdicts(pd.DataFrame([list(Verdict)]), ax)
        assert len(ax.patches) == len(Verdict)
