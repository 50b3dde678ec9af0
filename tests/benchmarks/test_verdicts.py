"""What the benchmarks make of their measurements: ratios, goals, tables, the stored file and the program."""

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
    from benchmarks.cases import Case, Peer
    from benchmarks.summary import equal, extras, gains, geometric_mean, line, suite, table, verdict

pytestmark = [pytest.mark.filterwarnings("ignore"), pytest.mark.usefixtures("as_users_run")]


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
