"""How the benchmarks time: in turn, often enough, without the garbage collector. No real time is asserted."""

import gc
import warnings

import pytest
import torch

for library in ("captum", "zennit", "pytorch_grad_cam", "torchcam", "shap"):
    pytest.importorskip(library)
with warnings.catch_warnings():
    warnings.simplefilter("ignore")  # what the other libraries say on import is theirs
    from benchmarks.cases import Case, Peer, bare_limit
    from benchmarks.clock import Clock, in_turn, order
    from benchmarks.measure import Plan, finalists, measure, median_ratio
    from benchmarks.workloads import load

pytestmark = [pytest.mark.filterwarnings("ignore"), pytest.mark.usefixtures("as_users_run")]


class TestClock:
    def test_every_variant_runs_in_every_round_and_every_other_round_goes_backwards(self, ticks):
        met = []
        runs = {name: lambda name=name: met.append(name) for name in "abc"}
        seconds = in_turn(runs, 3, Clock(ticks), dict.fromkeys("abc", 1.0))
        assert "".join(met) == "abccbaabc"
        assert {name: len(values) for name, values in seconds.items()} == {"a": 3, "b": 3, "c": 3}

    def test_times_are_those_of_the_call(self, ticks):
        runs = {"slow": ticks.takes(2.0), "fast": ticks.takes(0.001)}
        seconds = in_turn(runs, 2, Clock(ticks), {"slow": 2.0, "fast": 0.001})
        assert seconds["slow"] == [2.0, 2.0]
        assert seconds["fast"] == pytest.approx([0.001, 0.001])
        assert ticks.time == pytest.approx(2 * 2.0 + 2 * 20 * 0.001)  # the short one, 20 times a round

    def test_order(self):
        assert order("ab", 0) == ["a", "b"]
        assert order("ab", 1) == ["b", "a"]

    def test_collects_before_and_not_within(self, ticks):
        gc.collect()
        before = gc.get_stats()[2]["collections"]
        Clock(ticks).seconds(ticks.takes(1.0))
        assert gc.get_stats()[2]["collections"] > before


class TestMeasure:
    def case(self, ticks, **settings):
        def theirs(seconds=4.0, fail=False):
            if fail:
                raise RuntimeError("no such\nsetting")
            return ticks.takes(seconds)() * 2

        given = {name: {"seconds": value} for name, value in settings.items()} | {"broken": {"fail": True}}
        return Case(lambda model, x, target: ticks.takes(1.0)(), (Peer("other", theirs, {}, given),), (4, 0))

    def test_settings_that_lose_the_warm_up_are_not_timed_and_one_that_fails_is_named(self, ticks):
        w = load("mlp", 2, tiny=True)
        found = measure(w, self.case(ticks, slow=9.0, good=2.0, better=1.5), Plan(2, Clock(ticks)))
        assert [name for name in found["seconds"] if name.startswith("other")] == [
            "other default",
            "other good",
            "other better",
        ]
        assert found["seconds"]["other better"] == [1.5, 1.5]
        assert found["failed"] == {"other broken": "RuntimeError: no such"}
        assert found["difference"]["other"] == {"xnb plain": 0.5, "xnb prepared": 0.5}
        assert set(found["peak_mib"]) == {"xnb plain", "xnb prepared", "other default", "other good", "other better"}

    def test_a_default_that_fails_is_an_error(self, ticks):
        case = Case(lambda *given: torch.ones(1), (Peer("other", lambda: [][0]),))
        with pytest.raises(IndexError):
            measure(load("mlp", 2, tiny=True), case, Plan(1, Clock(ticks)))

    def test_finalists_keep_what_is_always_compared(self):
        case = Case(lambda *given: None, (Peer("a", lambda: None), Peer("b", lambda: None)))
        names = ["xnb plain", "xnb prepared", "limit", "a default", "a 1", "a 2", "a 3", "b default", "b 1"]
        kept = finalists(dict.fromkeys(names, print), {name: float(i) for i, name in enumerate(names)}, case)
        assert list(kept) == [name for name in names if name != "a 3"]

    def test_ratio_of_medians_and_spread_of_pairs(self):
        seconds = {"ours": [1.0, 2.0, 9.0], "theirs": [2.0, 2.0, 3.0]}
        assert median_ratio(seconds, "ours", "theirs") == (1.0, 0.75, 2.0)  # pairs: 0.5, 1, 3

    @pytest.mark.parametrize(("forward", "backward"), [(40, 0), (0, 40), (17, 3)])
    def test_the_limit_runs_that_many_inputs_and_no_more(self, forward, backward, monkeypatch):
        w = load("cnn32", 2, tiny=True)
        sizes = []
        with monkeypatch.context() as patch:
            plain = w.prepared.forward
            patch.setattr(w.prepared, "forward", lambda x: (sizes.append(len(x)), plain(x))[1])
            bare_limit(w, forward, backward)
        assert sum(sizes) == forward + backward
        assert max(sizes) <= w.limit_batch
