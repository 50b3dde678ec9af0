"""Metrics before and after noise: what reads the map alone has half, what sees the model has more, refusals."""

from functools import partial

import pytest
import torch

import xnb
from xnb.comparison import evaluate_metrics
from xnb.metrics import single_deletion

METHODS = ["gradient", "occlusion", "edges"]
SHARES = ["iac_nr", "iac_ar", "iec_nr", "iec_ar"]
FEW = {"draws": 2, "iterations": 1}


def mean_of_map(model, x, target, attribution):
    return attribution.flatten(1).mean(1)


def keeps_its_class(model, x, target, attribution):
    """One that sees whether the prediction is the one that was explained, and a little of the map."""
    right = model(x).argmax(1) == target
    return right.double() + 1e-3 * attribution.flatten(1).norm(dim=1)


@pytest.fixture
def data(part):
    """Ten inputs, so that a p-value can be small."""
    more = torch.randn(10, *part.x.shape[1:], dtype=part.x.dtype, generator=torch.Generator().manual_seed(3))
    return xnb.data.Part(more, torch.zeros(10, dtype=torch.long), part.masks[:1].expand(10, -1, -1, -1))


def evaluate(model, data, metrics, **knobs):
    table = evaluate_metrics(model, data, METHODS, metrics, **(FEW | knobs))
    return table.set_index(["metric", "perturbed"])


def test_a_metric_of_the_map_alone_has_half_under_noise_on_the_input(model, data):
    """The map of the clean input is judged on the noisy one, and the metric never looks at that."""
    row = evaluate(model, data, [mean_of_map], better={"mean_of_map": "higher"}).loc["mean_of_map", "input"]
    assert list(row[SHARES]) == [1, 0, 1, 0]
    assert row["mc"] == 0.5


def test_explained_again_it_sees_the_noise(model, data):
    found = evaluate(model, data, [mean_of_map], better={"mean_of_map": "higher"}, explain_again=True)
    assert found.loc["mean_of_map", "input"]["iac_ar"] > 0


def test_noise_on_the_model_moves_every_map(model, data):
    row = evaluate(model, data, [mean_of_map], better={"mean_of_map": "higher"}).loc["mean_of_map", "model"]
    assert row["iac_ar"] > 0.1


def test_what_sees_the_prediction_reacts(model, data):
    """Under noise on the input its score falls on every input that counts, by 1 each, and mild noise leaves it."""
    found = evaluate(model, data, [keeps_its_class], better={"keeps_its_class": "higher"})
    row = found.loc["keeps_its_class", "input"]
    assert row["iec_nr"] == row["iec_ar"] == row["iac_nr"] == 1
    assert row["iac_ar"] > 0.9


def test_table(model, data):
    """A row for each metric, perturbation and iteration; masks and methods are handed to those that ask."""
    metrics = {"srg": partial(xnb.metrics.srg, steps=3), "mass": "relevance_mass", "moves": "max_sensitivity"}
    table = evaluate_metrics(
        model, data, METHODS, metrics, **{**FEW, "iterations": 2}, better={"mass": "higher", "moves": "lower"}
    )
    assert len(table) == 3 * 2 * 2
    assert list(table.columns) == ["metric", "perturbed", "iteration", "mc", *SHARES]
    assert table[SHARES].mean(axis=1).to_numpy() == pytest.approx(table["mc"].to_numpy())
    assert table[SHARES].stack().between(0, 1).all()


def test_one_space_and_other_sizes(model, data):
    """Noise of no size changes nothing; where the strong noise changes no prediction, there is no answer."""
    table = evaluate_metrics(model, data, METHODS, ["srg"], noise={"input": (0.0, 0.0)}, **FEW)
    assert list(table["perturbed"]) == ["input"]
    assert table["iac_nr"].item() == table["iec_nr"].item() == 1
    assert table["mc"].isna().all()


def test_bounds_hold_the_noise(model, data):
    inside = []

    def look(model, x, target, attribution):
        inside.append(bool(x.min() >= -3 and x.max() <= 3))
        return x.flatten(1).mean(1)

    evaluate_metrics(model, data, METHODS, [look], noise={"input": (0.1, 9.0)}, better={"look": "higher"}, **FEW)
    assert not all(inside[len(METHODS) :])
    clean = data.x.clamp(-3, 3)
    inside.clear()
    bounded = xnb.data.Part(clean, data.y)
    evaluate_metrics(
        model,
        bounded,
        METHODS,
        [look],
        noise={"input": (0.1, 9.0)},
        better={"look": "higher"},
        bounds=(-3.0, 3.0),
        **FEW,
    )
    assert all(inside)


def test_the_same_seed_gives_the_same_table(model, data):
    tables = [evaluate(model, data, ["srg"], seed=seed)["mc"] for seed in (0, 0, 1)]
    assert tables[0].equals(tables[1])
    assert not tables[0].equals(tables[2])


def test_a_target_of_ones_own(model, data):
    """The class is the one that is explained, and metrics get it."""
    targets = []

    def look(model, x, target, attribution):
        targets.append(target)
        return single_deletion(model, x, target, attribution)

    evaluate_metrics(model, data, METHODS, [look], target=2, better={"look": "higher"}, **FEW)
    assert all((target == 2).all() for target in targets)


def test_model_and_inputs_stay_as_they_were(model, data):
    before = data.x.clone()
    weights = {name: values.clone() for name, values in model.state_dict().items()}
    evaluate(model, data, ["srg"])
    assert torch.equal(before, data.x)
    assert all(torch.equal(values, weights[name]) for name, values in model.state_dict().items())


@pytest.mark.parametrize(
    ("knobs", "rule"),
    [
        ({"draws": 0}, "draws must be at least 1"),
        ({"iterations": 0}, "iterations must be at least 1"),
        ({"noise": {"zebra": (0.1, 1.0)}}, "no perturbation of that name"),
        ({"better": {"srg": "neither"}}, "neither end is better"),
    ],
)
def test_refusals(model, data, knobs, rule):
    with pytest.raises(ValueError, match=rule):
        evaluate_metrics(model, data, METHODS, ["srg"], **(FEW | knobs))
