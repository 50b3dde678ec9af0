"""What is committed belongs to the code and data beside it, its verdicts follow, and a sample comes out again.

Tests: reproduce.results, reproduce.t2_accuracies, reproduce.t3_meta, reproduce.t4_sanity, reproduce.drawing
"""

import os
from pathlib import Path

import matplotlib.pyplot as plt
import numpy as np
import pytest
import torch

from reproduce import drawing, results, t1_blocks, t2_accuracies, t3_meta, t4_sanity, t5_leverage
from reproduce.lenet import FunctionalLeNet
from reproduce.sources import is_at_hand, read_exact_pictures, read_sources
from reproduce.verdicts import Figure, Measurement, judge_column
from xnb.comparison import evaluate_metrics

SHARED = Path(__file__).parents[3] / "shared" / "data"
TABLES = sorted(path.stem for path in results.FOLDER.glob("T*.json"))


@pytest.fixture(scope="module", autouse=True)
def published():
    """The folder of published files, where one is at hand."""
    patch = pytest.MonkeyPatch()
    if "XNB_PUBLISHED" not in os.environ and SHARED.is_dir():
        patch.setenv("XNB_PUBLISHED", str(SHARED))
    yield
    patch.undo()


def need(names):
    if not is_at_hand(list(names)):
        pytest.skip("the published files are not at hand: XNB_PUBLISHED=folder")


def find_row(table, name, column=None):
    rows = results.read_result(table)["rows"]
    return next(row for row in rows if row["row"] == name and column in (None, row["column"]))


@pytest.mark.parametrize("table", TABLES)
def test_a_result_belongs_to_this_code_and_this_data(table):
    record = results.read_result(table)
    code = record["code"]
    assert results.hash_code(code["files"]) == code["sha256"], f"make reproduce TABLE={table}"
    assert record["data"] == {name: read_sources()[name].sha256 for name in record["data"]}


@pytest.mark.parametrize("table", TABLES)
def test_every_row_has_the_verdict_of_the_rules(table):
    record = results.read_result(table)
    for column, printed in results.read_published(table)["columns"].items():
        rows = [row for row in record["rows"] if row["column"] == column]
        assert {row["row"]: row["published"] for row in rows} == printed
        figures = {row["row"]: Figure(row["published"], row["spread"]) for row in rows}
        measured = {row["row"]: Measurement(row["ours"], row["low"], row["high"]) for row in rows}
        judged = judge_column(figures, measured)
        assert {row["row"]: (row["verdict"], row["because"]) for row in rows} == judged


def test_a_table_that_was_never_computed_is_refused(monkeypatch, tmp_path):
    monkeypatch.setattr(results, "FOLDER", tmp_path)
    with pytest.raises(ValueError, match=r"not computed yet\n  got: 'T2'\n  try: make reproduce TABLE=T2"):
        results.read_result("T2")


def test_a_result_is_judged_and_stored_whole(monkeypatch, tmp_path):
    (tmp_path / "published.toml").write_text((results.FOLDER / "published.toml").read_text())
    monkeypatch.setattr(results, "FOLDER", tmp_path)
    measured = {name: Measurement(90.0, 80.0, 99.0) for name in results.read_figures("T2")["accuracy"]}
    stored = results.write_result("T2", {"accuracy": measured}, code=(), data=(), settings={}, facts={"pi": np.pi})
    assert stored == results.read_result("T2")
    assert stored["facts"]["pi"] == 3.14159
    shown = results.tabulate(stored)
    assert shown["verdict"].tolist() == ["within their spread"] * 8
    fig, ax = plt.subplots()
    drawing.draw_rows(drawing.select_rows(stored, "accuracy"), ax, label="percent")
    assert [text.get_text() for text in ax.get_yticklabels()][:2] == ["ResNet-20", "ResNet-32"]
    plt.close(fig)


def test_hooks_of_modules_see_no_function():
    pytest.importorskip("zennit")
    lenet, x, y = FunctionalLeNet().eval(), torch.rand(2, 1, 28, 28), torch.tensor([1, 2])
    gradient, guided = (t4_sanity.METHODS[name](lenet, x, y) for name in ("gradient", "guided_backprop"))
    torch.testing.assert_close(t4_sanity.hook_guided_backprop(lenet, x, y), gradient, rtol=0, atol=0)
    modular = t4_sanity.modular_lenet(lenet)
    torch.testing.assert_close(t4_sanity.hook_guided_backprop(modular, x, y), guided)


def test_a_random_map_is_another_for_another_network():
    lenet, x, y = FunctionalLeNet().requires_grad_(False).eval(), torch.rand(2, 1, 28, 28), torch.tensor([1, 2])
    first = t4_sanity.draw_map(lenet, x, y)
    torch.testing.assert_close(t4_sanity.draw_map(lenet, x, y), first)
    assert not torch.equal(t4_sanity.draw_map(FunctionalLeNet().requires_grad_(False).eval(), x, y), first)


def test_an_accuracy_comes_out_again():
    need(t2_accuracies.DATA)
    ours = t2_accuracies.measure_accuracy("ResNet-20", read_exact_pictures())
    assert ours.value == pytest.approx(find_row("T2", "ResNet-20")["ours"], abs=0.2)  # one or two pictures


def test_answers_of_pictures_under_removal_come_out_again():
    need(t2_accuracies.DATA)
    x, y = read_exact_pictures(2)
    block = t1_blocks.measure_block(t1_blocks.load_cifar_network("ResNet-20"), x, y, range(2))
    stored = t1_blocks.unpack_blocks(results.read_result("T1")["facts"]["blocks"])["ResNet-20"]
    np.testing.assert_array_equal(block.untouched, stored.untouched[:2])
    assert (block.right == stored.right[:2]).mean() > 0.98  # a ReLU within rounding of its kink may flip a rank


def test_the_gap_is_the_difference_of_its_two_rows():
    linear, fixed = (find_row("T1", f"m-non-{kind}, l-non-{kind}")["ours"] for kind in ("lin", "fix"))
    gap = results.read_result("T1")["facts"]["gap"]
    assert gap["mean"] == pytest.approx(linear - fixed, abs=1e-5)
    assert gap["low"] < gap["mean"] < gap["high"]


def test_guided_backprop_comes_out_again():
    need(t4_sanity.DATA)
    pytest.importorskip("zennit")
    stored = results.read_result("T4")["facts"]
    pictures = t4_sanity.read_pictures()
    again = t4_sanity.measure_guided(t4_sanity.load_lenet(), pictures)
    assert again["hooked less gradient"] == stored["guided"]["hooked less gradient"] == 0
    correlations = [found["rank correlation"]["mean"] for found in (again, stored["guided"])]
    assert correlations[0] == pytest.approx(correlations[1], abs=0.01)
    assert t4_sanity.measure_accuracies(pictures) == stored["right of 50"]


def test_a_metric_that_sees_nothing_scores_half_again():
    need(t3_meta.DATA)
    method = {"Gradient": t3_meta.list_methods()["Gradient"], "Saliency": t3_meta.explain_size}
    metric = {"Pointing-Game": t3_meta.list_metrics()["Pointing-Game"]}
    knobs = {"draws": 2, "iterations": 1, "better": {"Pointing-Game": "higher"}, "noise": {"input": (0.001, 5.0)}}
    table = evaluate_metrics(t3_meta.load_lenet(), t3_meta.read_part(), method, metric, **knobs)
    assert table["mc"].tolist() == [find_row("T3", "Pointing-Game", "input")["ours"]] == [0.5]


def test_a_metric_that_sees_the_noise_scores_the_same_again():
    need(t3_meta.DATA)
    part = t3_meta.read_part()
    metric = {"Pixel-Flipping": t3_meta.list_metrics()["Pixel-Flipping"]}
    knobs = {"draws": t3_meta.DRAWS, "iterations": t3_meta.ITERATIONS, "better": {"Pixel-Flipping": "lower"}}
    knobs["bounds"] = (float(part.x.min()), float("inf"))
    table = evaluate_metrics(t3_meta.load_lenet(), part, t3_meta.list_methods(), metric, **knobs)
    ours = table[table["perturbed"] == "input"]["mc"].mean()
    stored = find_row("T3", "Pixel-Flipping", "input")["ours"]
    assert ours == pytest.approx(stored, abs=0.01)  # ranks flip: 0.615 and 0.620 on two processors


def test_errors_of_shapley_values_come_out_again():
    need(t5_leverage.DATA)
    pytest.importorskip("xgboost")
    pytest.importorskip("shap")
    game = t5_leverage.make_game("Diabetes")
    lengths = t5_leverage.read_runs("Diabetes", "Kernel")["shap_norm_sq"].to_numpy()[:4]
    rows, off = t5_leverage.find_rows(game, lengths)
    assert off.max() < 1e-6
    stored = results.read_result("T5")["facts"]["ours"]["Diabetes, Leverage"][:4]
    assert t5_leverage.measure_errors(game, rows)["Leverage"] == pytest.approx(stored, rel=1e-2)
