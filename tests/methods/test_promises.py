"""Promises of a call, measured: the number that is told is the right one, and the line that is given mends it."""

import pytest
import torch
from networks import Counted
from torch import nn

import xnb
from xnb.access.ledger import count_passes, leave_note
from xnb.check import PromiseWarning
from xnb.methods import METHODS
from xnb.methods.promises import Promises, measure_promises, write_call


def square(x):
    """A score of two values, f = x1^2 + x2^2 and its half: its completeness gap is known for every number of steps."""
    total = x.square().sum(1)
    return torch.stack([total, total / 2], 1)


def told(call):
    """The text of the one warning that a call gives."""
    with pytest.warns(PromiseWarning) as caught:
        call()
    assert len(caught) == 1
    return str(caught[0].message)


class Kink(nn.Module):
    """f = relu(x - 0.9), so that of a path from 0 to 1 only the last tenth has a slope."""

    def forward(self, x):
        return torch.stack([(x.sum(1) - 0.9).relu(), x.sum(1)], 1)


ONE = torch.ones(1, 1, dtype=torch.double)


class TestGap:
    def test_midpoint_with_one_step_misses_a_quarter_of_a_cube(self):
        """f = x^3 from 0 to 1: the slope at 1/2 is 3/4, and the change is 1, so a quarter is missed."""
        text = told(lambda: xnb.attribute(lambda x: x.expand(-1, 2) ** 3, ONE, 0, steps=1, quadrature="midpoint"))
        assert text.split("\n")[0] == "integrated_gradients: the map does not keep what the method promises"
        assert "misses the change of score by 25 % of it" in text

    def test_what_cancels_is_told_as_a_share_of_the_map(self):
        """x^3 - 0.99 y^3 at (1, 1): the change is 0.01, the map 3/4 and -0.7425, and 0.0025 of 0.014925 is missed."""

        def model(x):
            return torch.stack([x[:, 0] ** 3 - 0.99 * x[:, 1] ** 3, x.sum(1)], 1)

        x = torch.ones(1, 2, dtype=torch.double)
        text = told(lambda: xnb.attribute(model, x, 0, steps=1, quadrature="midpoint"))
        assert "misses the change of score by 16.8 % of a hundredth of its magnitudes" in text

    def test_a_map_without_anything_misses_all(self):
        """Below the kink every step has slope 0: the map is 0, the change 0.1."""
        text = told(lambda: xnb.attribute(Kink().eval(), ONE, 0, steps=4, quadrature="midpoint"))
        assert "by 100 % of it" in text

    def test_the_line_mends_it(self):
        """From 1,024 nodes at most; the sum is then 0.1 but for one part in a hundred."""
        text = told(lambda: xnb.attribute(Kink().eval(), ONE, 0, steps=4, quadrature="midpoint"))
        names = {"model": Kink().eval(), "x": ONE, "target": 0}
        line = text.split("try: ")[1]
        assert (
            line == "xnb.attribute(model, x, target, \"integrated_gradients\", quadrature='midpoint', tolerance=0.01)"
        )
        assert float(eval(line, {"xnb": xnb}, names)) == pytest.approx(0.1, rel=0.01)

    def test_a_tolerance_that_is_not_reached_is_told_with_more_steps(self):
        text = told(lambda: xnb.attribute(Kink().eval(), ONE, 0, tolerance=1e-9, steps=12))
        assert text.endswith('"integrated_gradients", tolerance=1e-09, steps=48)')

    @pytest.mark.filterwarnings("error")
    def test_what_adds_up_is_silent(self, model, x, target):
        xnb.attribute(square, x[:, :2, 0, 0], [0, 1, 1, 0, 0], steps=1, quadrature="midpoint")  # exact for a square
        xnb.attribute(model, x, target, "deep_lift")
        xnb.attribute(model, x, target, "gradient")

    def test_a_change_near_zero_is_measured_by_the_size_of_the_map(self):
        """f = 100 (x1^3 - x2^3) + 1e-6 x1 at (1, 1): shares of 100 that cancel, so a miss of 1e-3 is none."""

        def cancelling(x):
            first, second = x.unbind(1)
            total = 100 * (first**3 - second**3) + 1e-6 * first
            return torch.stack([total, total], 1)

        x = torch.ones(1, 2, dtype=torch.double)
        off = torch.tensor([[100 + 1e-6 + 1e-3, -100.0]], dtype=torch.double)
        found = measure_promises(cancelling, x, torch.tensor([0]), "integrated_gradients", off, {}, {})
        assert float(found.gap) == pytest.approx(1e-3 / 2, rel=1e-3)  # 1e-3 of a hundredth of 200
        assert list(found.broken()) == []

    def test_nothing_of_nothing_is_no_gap(self):
        found = measure_promises(square, ONE * 0, torch.tensor([0]), "integrated_gradients", ONE * 0, {}, {})
        assert float(found.gap) == 0

    def test_rounding_of_a_large_score_is_no_gap(self):
        """f = 1000 + x: in half precision the change of 0.25 is lost, as 1000.25 is 1000."""

        def high(x):
            return (1000 + x).expand(-1, 2)

        x = torch.full((1, 1), 0.25, dtype=torch.half)
        found = measure_promises(high, x, torch.tensor([0]), "integrated_gradients", x, {}, {})
        assert float(found.gap) == 0

    def test_the_baseline_is_the_callers(self, model, x, target):
        grey = torch.full_like(x, 0.5)
        a = xnb.attribute(model, x, target, baseline=grey, steps=3)
        found = measure_promises(model, x, target, "integrated_gradients", a, {"baseline": grey}, {}).gap
        change = (model(x) - model(grey)).gather(1, target[:, None])[:, 0]
        torch.testing.assert_close(found, ((a.flatten(1).sum(1) - change) / change).abs())

    def test_two_forward_passes_more_and_only_where_it_is_promised(self, model, x, target):
        for name in METHODS:
            if METHODS.cards[name].family in {"attention", "cam"}:
                continue
            with count_passes() as alone:
                METHODS[name](model, x, target)
            counted = Counted(model).eval()
            xnb.attribute(counted, x, target, name)
            more = 10 if "complete" in METHODS.cards[name].axioms else 0
            if name not in {"lrp", "deep_lift", "guided_backprop", "deconvnet"}:
                assert counted.forwards == alone.forward + more, name

    def test_no_pass_where_the_method_leaves_the_change(self, x, target):
        def never(x):
            pytest.fail("run")

        notes = {"change": torch.full((5,), 2.0).double()}
        a = torch.full((5, 1, 1, 1), 1.0).double()
        found = measure_promises(never, x, target, "integrated_gradients", a, {}, notes)
        assert found.gap.tolist() == [0.5] * 5


class TestKept:
    @pytest.fixture
    def note(self, monkeypatch):
        """LRP that leaves these shares of the score."""

        def leave(shares):
            def keeping(model, x, target, *, composite="epsilon"):
                leave_note(conserved=torch.tensor(shares))
                return x

            monkeypatch.setitem(METHODS._functions, "lrp", keeping)

        return leave

    def test_the_share_that_is_furthest_from_all_is_told(self, note, model, x, target):
        note([1.0, 0.95, 0.0001, 1.5, 1.0])
        text = told(lambda: xnb.attribute(model, x, target, "lrp"))
        assert "its sum is 0.01 % of the score" in text
        eval(text.split("try: ")[1], {"xnb": xnb}, {"model": model, "x": x, "target": target})

    @pytest.mark.filterwarnings("error")
    def test_a_tenth_is_no_breach(self, note, model, x, target):
        note([1.09, 0.91, 1.0, 1.0, 1.0])
        xnb.attribute(model, x, target, "lrp")


class TestError:
    def test_an_error_that_was_asked_for_and_is_not_reached_is_told(self, model, x, target):
        text = told(lambda: xnb.attribute(model, x, target, "smoothgrad", samples=2, standard_error=1e-3))
        assert "of the map, and 0.1 % was asked for" in text
        assert text.endswith('"smoothgrad", samples=8, standard_error=0.001)')

    @pytest.mark.filterwarnings("error")
    def test_nobody_asked(self, model, x, target):
        xnb.attribute(model, x, target, "smoothgrad", samples=2)


def test_without_inputs_nothing_is_broken():
    empty = torch.empty(0)
    assert list(Promises(gap=empty, conserved=empty, error=empty, error_limit=0.1).broken()) == []


def test_tensors_stand_in_a_call_by_their_name(x):
    written = write_call("occlusion", {"window": 8, "baseline": x, "stride": None})
    assert written == 'xnb.attribute(model, x, target, "occlusion", window=8, baseline=baseline)'
