"""The comparison with other libraries: how it times, judges and writes, and that results agree.

No real time is asserted.
"""

import gc
import json
import math
import warnings

import pytest
import torch

for library in ("captum", "zennit", "pytorch_grad_cam", "torchcam", "shap"):
    pytest.importorskip(library)
with warnings.catch_warnings():
    warnings.simplefilter("ignore")  # what the other libraries say on import is theirs
    from benchmarks import run, store
    from benchmarks.accuracy import accuracy
    from benchmarks.cases import ROWS, Case, Peer, bare_limit, matches
    from benchmarks.clock import Clock, in_turn, order
    from benchmarks.growth import draw, slope, squares
    from benchmarks.measure import Plan, compare, finalists, measure, median_ratio
    from benchmarks.summary import equal, extras, gains, geometric_mean, line, suite, table, verdict
    from benchmarks.workloads import RECIPES, load

pytestmark = [pytest.mark.filterwarnings("ignore"), pytest.mark.usefixtures("as_users_run")]


class Ticks:
    """A clock that a call can move on."""

    def __init__(self):
        self.time = 0.0

    def __call__(self):
        return self.time

    def takes(self, seconds):
        def call():
            self.time += seconds
            return torch.ones(2, 3)

        return call


@pytest.fixture(autouse=True, scope="module")
def nothing_to_collect():
    """Collecting garbage takes a second with so many libraries loaded; what is there already is left out."""
    gc.collect()
    gc.freeze()
    yield
    gc.unfreeze()


@pytest.fixture
def ticks():
    return Ticks()


@pytest.fixture
def found():
    """Measurements of one row: ours takes half of the default and 0.8 of the best setting."""
    seconds = {
        "xnb plain": [1.0, 3.0, 2.0],
        "xnb prepared": [1.0, 1.0, 1.0],
        "limit": [0.5, 1.0, 2.0],
        "captum default": [2.0, 2.0, 2.0],
        "captum batch=16": [1.25, 1.25, 9.0],
        "captum batch=32": [1.5, 1.5, 1.5],
    }
    return {
        "seconds": seconds,
        "peak_mib": {"xnb prepared": 10.0, "captum default": 40.0},
        "difference": {"captum": {"xnb plain": 1e-7, "xnb prepared": 1e-6}},
        "error": {"xnb plain": 0.1, "xnb prepared": 0.2, "captum": 0.09},
    }


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


class TestVerdict:
    def peer(self, **goals):
        return Peer("captum", lambda: None, {name.replace("_by_", "/"): goal for name, goal in goals.items()})

    def test_ratios(self, found):
        out = line(Case(lambda *given: None), self.peer(), found)
        medians = {name: ratio["median"] for name, ratio in out["ratios"].items()}
        assert out["best"] == "batch=16"
        assert medians == {
            "plain/default": 1.0,
            "plain/best": 1.6,
            "prepared/default": 0.5,
            "prepared/best": 0.8,
            "prepared/limit": 1.0,
        }
        assert out["memory"] == 0.25

    def test_goals_are_met_or_missed(self, found):
        peer = self.peer(prepared_by_default=0.5, plain_by_default=0.9, memory=0.2)
        out = line(Case(lambda *given: None), peer, found)
        assert out["missed"] == {"plain/default": 1.0, "memory": 0.25}
        assert verdict(out["equal"], out["missed"]) == "missed: plain/default 1, memory 0.25"

    def test_every_row_has_to_beat_the_best_setting_and_stay_near_the_limit(self, found):
        found["seconds"] |= {"xnb prepared": [1.3, 1.3, 1.3], "limit": [1.0, 1.0, 1.0]}
        assert set(line(Case(lambda *given: None), self.peer(), found)["missed"]) == {"prepared/best", "prepared/limit"}
        relaxed = Case(lambda *given: None, limit_goal=1.6)
        assert set(line(relaxed, self.peer(), found)["missed"]) == {"prepared/best"}

    def test_memory_that_is_not_known_is_no_success(self, found):
        found["peak_mib"]["captum default"] = math.nan
        out = line(Case(lambda *given: None), self.peer(memory=0.5), found)
        assert verdict(True, out["missed"]) == "missed: memory –"
        assert store.strict(out)["memory"] is None
        assert table({"a/b": {"lines": [store.strict(out)]}})["memory"][0] == "–"

    def test_results_that_differ_are_called_so(self, found):
        assert equal(Case(lambda *given: None, tolerance=1e-6), self.peer(), found)
        assert not equal(Case(lambda *given: None, tolerance=1e-8), self.peer(), found)
        found["difference"]["captum"]["xnb plain"] = math.nan
        assert not equal(Case(lambda *given: None), self.peer(), found)
        assert verdict(False, {}) == "RESULTS DIFFER; met"

    def test_sampled_results_are_compared_by_their_errors(self, found):
        assert equal(Case(lambda *given: None, tolerance=None), self.peer(), found)
        found["error"]["xnb plain"] = 0.5
        assert not equal(Case(lambda *given: None, tolerance=None), self.peer(), found)

    def test_geometric_mean(self):
        lines = [{"peer": name, "ratios": {"prepared/default": {"median": m}}} for name, m in (("a", 0.1), ("b", 0.4))]
        assert geometric_mean([*lines, {"peer": None, "ratios": {}}]) == pytest.approx(0.2)
        assert math.isnan(geometric_mean([]))

    def test_suite(self, found):
        row = {"lines": [line(Case(lambda *given: None), self.peer(prepared_by_default=0.4), found)] * 2}
        assert suite({"a/b": row, "growth": {}}) == {
            "geometric mean of prepared/default": pytest.approx(0.5),
            "its goal": 0.33,
            "lines": 2,
            "lines met": 0,
        }
        assert suite({"growth": {}}) == {}


class TestTable:
    def test_a_line_for_each_peer(self, found):
        case = Case(lambda *given: None)
        row = {**found, "lines": [line(case, Peer("captum", lambda: None), found), line(case, None, found)]}
        shown = table({"kernel_shap, 30 features/table30": row})
        assert list(shown["peer"]) == ["captum", "–"]
        first = shown.iloc[0]
        assert (first["work"], first["workload"]) == ("kernel_shap, 30 features", "table30")
        assert first["prepared/default"] == "0.5 (0.5–0.5)"
        assert (first["prepared/best"], first["best"], first["verdict"]) == ("0.8", "batch=16", "met")
        assert first["difference"] == "1e-07 / 1e-06"
        assert first["error"] == "2e-01 / 9e-02"

    def test_compiled_and_bfloat16_forms_have_a_table_of_their_own(self, found):
        assert extras({"a/b": found}).empty
        found["seconds"]["xnb bfloat16"] = [0.5, 0.5, 0.5]
        found["error"]["xnb bfloat16"] = 0.25
        shown = extras({"a/b": found, "growth": {}})
        assert shown.to_dict("records") == [
            {"row": "a/b", "form": "bfloat16", "by prepared": "0.5", "error": "2e-01 / 2e-01"}
        ]

    def test_what_another_allocator_changes(self, found):
        row = {**found, "lines": [line(Case(lambda *given: None), Peer("captum", lambda: None), found)]}
        quick = {**row, "seconds": {name: [v / 2 for v in values] for name, values in row["seconds"].items()}}
        shown = gains({"a/b": row}, {"a/b": quick}).iloc[0]
        assert (shown["ours"], shown["theirs"], shown["with"]) == ("0.50", "0.50", "0.5")


class TestStore:
    def results(self, path, **more):
        return store.Results(path, "cpu", {"date": "2030-01-01", "threads": 2, **more})

    def test_writes_and_resumes(self, tmp_path):
        first = self.results(tmp_path / "results.json")
        first.rows["a/b"] = {"seconds": {"limit": [1.0]}}
        first.write()
        again = self.results(tmp_path / "results.json", date="2030-01-02")
        assert again.resume()
        assert again.rows == first.rows
        assert [path.name for path in tmp_path.iterdir()] == ["results.json"]

    def test_other_conditions_do_not_mix(self, tmp_path):
        first = self.results(tmp_path / "results.json")
        first.rows["a/b"] = {}
        first.write()
        assert not self.results(tmp_path / "results.json", threads=1).resume()

    def test_a_library_that_came_later_mixes_and_another_version_does_not(self, tmp_path):
        first = self.results(tmp_path / "results.json", versions={"torch": "1"})
        first.rows["a/b"] = {}
        first.write()
        assert self.results(tmp_path / "results.json", versions={"torch": "1", "quantus": "1"}).resume()
        assert not self.results(tmp_path / "results.json", versions={"torch": "2", "quantus": "1"}).resume()
        assert not self.results(tmp_path / "results.json", versions={"quantus": "1"}).resume()

    def test_runs_stand_side_by_side(self, tmp_path):
        for name in ("cpu", "cuda"):
            store.Results(tmp_path / "results.json", name, {}, {"a/b": {}}).write()
        assert set(store.read(tmp_path / "results.json")) == {"cpu", "cuda"}
        assert set(json.loads((tmp_path / "results.json").read_text())) == {"how to read", "runs"}

    def test_conditions_name_libraries_and_no_machine(self):
        found = store.conditions("cpu", 2, "wall", 7, False, False)
        assert set(found["versions"]) >= {"torch", "captum", "zennit", "grad-cam", "torchcam", "shap"}
        assert not {"host", "node", "user", "path"} & set(found)
        assert found["processor"]


class TestProgram:
    def main(self, tmp_path, *more):
        return run.main(["--tiny", "--quick", "--threads=1", f"--output={tmp_path / 'r.json'}", *more])

    def test_list(self, tmp_path, capsys):
        assert self.main(tmp_path, "--list", "--only=lime; growth") == 0
        assert capsys.readouterr().out.splitlines() == ["lime, 50 regions/cnn32", "lime, 30 features/table30", "growth"]
        assert list(tmp_path.iterdir()) == []

    def test_measures_prints_and_resumes(self, tmp_path, capsys, monkeypatch):
        assert self.main(tmp_path, "--only=gradient/mlp") == 0
        out = capsys.readouterr().out
        assert "captum" in out
        assert "geometric mean" in out
        written = (tmp_path / "r.json").read_text()
        assert str(tmp_path) not in written
        assert set(json.loads(written)["runs"]["cpu"]["rows"]) == {"gradient/mlp"}
        monkeypatch.setattr(run, "measured", lambda *given: pytest.fail("measured again"))
        assert self.main(tmp_path, "--only=gradient/mlp", "--resume") == 0

    def test_rows_measured_otherwise_are_not_replaced(self, tmp_path, capsys):
        assert self.main(tmp_path, "--only=gradient/mlp") == 0
        before = (tmp_path / "r.json").read_text()
        assert self.main(tmp_path, "--only=gradient_times_input/mlp", "--clock=cpu") == 2
        assert "try: --output" in capsys.readouterr().out
        assert (tmp_path / "r.json").read_text() == before

    def test_an_interrupt_prints_what_is_there(self, tmp_path, capsys, monkeypatch):
        measured = run.measured

        def interrupted(row, *given):
            if row.work == "gradient_times_input":
                raise KeyboardInterrupt
            return measured(row, *given)

        monkeypatch.setattr(run, "measured", interrupted)
        assert self.main(tmp_path, "--only=gradient/mlp;gradient_times_input/mlp") == 130
        out = capsys.readouterr().out
        assert "captum" in out
        assert "--resume" in out

    @pytest.mark.skipif(torch.cuda.is_available(), reason="there is a CUDA device")
    def test_without_a_device_nothing_is_measured(self, tmp_path, capsys):
        assert self.main(tmp_path, "--device=cuda") == 0
        assert "No CUDA device" in capsys.readouterr().out


class TestGrowth:
    def test_slope(self):
        assert slope([1, 2, 4], [3.0, 6.0, 12.0]) == pytest.approx(1)
        assert slope([1, 2, 4], [1.0, 4.0, 16.0]) == pytest.approx(2)

    @pytest.mark.parametrize("cells", [16, 32, 128])
    def test_squares(self, cells):
        parts = squares(load("cnn32", 2, tiny=True), cells)
        assert parts.unique().tolist() == list(range(cells))

    def test_draws(self, tmp_path):
        task = {"of": "steps", "sizes": [1, 2], "seconds": [1.0, 2.0], "slope": 1.0}
        draw({"a": task}, tmp_path / "growth.png")
        assert (tmp_path / "growth.png").read_bytes().startswith(b"\x89PNG")


def test_errors_to_exact_values():
    few, more = accuracy(tiny=True)
    assert more["xnb"] < few["xnb"] < 0.5
    assert more["xnb"] < more["captum"]


@pytest.mark.parametrize("name", RECIPES)
def test_workloads_are_seeded_and_have_one_span(name):
    before = torch.random.get_rng_state()
    w = load(name, 2, tiny=True)
    assert torch.equal(before, torch.random.get_rng_state())
    flat = w.x.flatten(1)
    torch.testing.assert_close(flat.amax(1) - flat.amin(1), torch.full((2,), 4.0))
    out = w.model(w.x)
    assert out.std() > 0
    assert bool((out.gather(1, w.target[:, None]) > 0).all())
    assert not torch.equal(w.prepared(w.x), out) or name in {"mlp", "table30", "plain32", "vit32"}


def test_matches():
    assert matches("lime, 50 regions/cnn32", "grad; lime")
    assert not matches("lime, 50 regions/cnn32", "mlp")


def test_every_goal_of_a_time_is_against_a_form_and_a_setting():
    assert len({row.name for row in ROWS}) == len(ROWS)
    names = {f"{form}/{label}" for form in ("plain", "prepared") for label in ("default", "best")} | {"memory"}
    for row in ROWS:
        case = row.build(load(row.workload, row.inputs, tiny=True))
        assert all(set(peer.goals) <= names for peer in case.peers)


@pytest.mark.parametrize("row", ROWS, ids=lambda row: row.name)
def test_results_agree(row):
    """At the size of a toy: the same inequality that the table prints as a verdict."""
    w = load(row.workload, row.inputs, tiny=True)
    case = row.build(w)
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(0)
        results = {"xnb plain": case.ours(w.model, w.x, w.target), "xnb prepared": case.ours(w.prepared, w.x, w.target)}
        results |= {f"{peer.name} default": peer.run() for peer in case.peers}
    found = compare(case, results)
    assert all(equal(case, peer, found) for peer in case.peers), found
    assert all(value.isfinite().all() for value in results.values())


@pytest.mark.parametrize("row", ROWS, ids=lambda row: row.name)
def test_the_settings_that_are_searched_work(row):
    """The last of each peer: a library that refuses it would make its best look worse than it is."""
    case = row.build(load(row.workload, row.inputs, tiny=True))
    for peer in case.peers:
        *_, last = peer.variants().values()
        assert last().isfinite().all()
