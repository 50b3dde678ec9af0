"""Metrics that cannot vary refuse; outputs that are not finite are no numbers to rank."""

import pytest
import torch

from xnb import METHODS
from xnb.metrics import METRICS, deletion, grid_pointing, max_sensitivity, single_deletion
from xnb.metrics.variation import find_moved, keep_where_moved, merge_rounding

FAITHFUL = [name for name, card in METRICS.cards.items() if card.category == "faithfulness"]
FAITHFUL.append("symmetry")


def constant(x):
    return (0 * x).flatten(1)[:, :3] + torch.arange(3).to(x)


@pytest.mark.parametrize("name", FAITHFUL)
def test_a_model_that_nothing_moves_is_refused(name, x, target):
    with pytest.raises(ValueError, match="the same whatever is removed"):
        METRICS[name](constant, x, target, x)


@pytest.mark.parametrize("name", FAITHFUL)
def test_one_input_that_nothing_moves_is_nan(name, model, x, target):
    """A black picture, of which black is removed."""
    first = x.index_fill(0, torch.tensor(1), 0)
    scores = METRICS[name](model, first, target, torch.randn_like(x), impute="zero")
    assert scores.isnan().tolist() == [False, True, False, False, False]


def test_a_saturated_probability_names_the_logit(x, target):
    """The softmax of 1,000 is 1 whatever is removed, its logit is not."""

    def sure(x):
        z = x.flatten(1).sum(1)
        return torch.stack([1000 + z, 500 - z, z], 1)

    with pytest.raises(ValueError, match="the same whatever") as refusal:
        deletion(sure, x, 0, x)
    pasted = {}
    exec(str(refusal.value).split("try: ")[1], pasted)
    assert deletion(sure, x, 0, x, unit=pasted["unit"]).isfinite().all()


def test_rounding_does_not_move():
    outputs = torch.tensor([[1.0, 1.0, 5.0], [1.0 + 1.2e-7, 1.001, 5.0]])
    assert find_moved(outputs).tolist() == [False, True, False]
    kept = keep_where_moved(torch.tensor([3.0, 4.0, 5.0]), outputs)
    assert kept[1] == 4
    assert kept[[0, 2]].isnan().all()
    assert keep_where_moved(outputs[0, :0], outputs[:, :0]).shape == (0,)


@pytest.mark.parametrize("name", FAITHFUL)
@pytest.mark.parametrize("bad", [float("nan"), float("-inf")])
def test_outputs_that_are_not_finite_are_refused(name, bad, x):
    """A logarithm of what was removed: ranks would take it for a number. A logit of -inf has the probability 0."""
    if name == "saco" and bad == -float("inf"):
        assert METRICS[name](lambda x: x.flatten(1)[:, :3].log(), x.abs(), 0, x, impute="zero").isfinite().any()
        return

    def broken(x):
        z = x.flatten(1)[:, :3]
        return torch.where(z == 0, bad, z)

    with pytest.raises(ValueError, match="must be finite, also where parts are removed"):
        METRICS[name](broken, x, 0, x, impute="zero")


@pytest.mark.parametrize(
    ("name", "knobs"),
    [
        ("deletion", {"steps": 1}),
        ("road", {"steps": 1}),
        ("srg", {"steps": 1}),
        ("saco", {"groups": 1}),
        ("single_deletion", {"side": 1}),
        ("symmetry", {"side": 1}),
        ("faithfulness_correlation", {"side": 1}),
        ("faithfulness_correlation", {"size": 36}),
        ("faithfulness_correlation", {"samples": 1}),
        ("sensitivity_n", {"side": 1}),
        ("sensitivity_n", {"sizes": (36,)}),
        ("sensitivity_n", {"samples": 1}),
        ("efficient_mprt", {"bins": 1, "method": METHODS["gradient"]}),
        ("max_sensitivity", {"samples": 0, "method": METHODS["gradient"]}),
    ],
)
def test_knobs_that_leave_nothing_to_vary_are_refused(name, knobs, model, x, target):
    """The line of the refusal works as pasted."""
    with pytest.raises(ValueError, match=r"must|one part|fewer") as refusal:
        METRICS[name](model, x, target, x, **knobs)
    pasted = {}
    exec(str(refusal.value).split("try: ")[1], pasted)
    pasted.pop("__builtins__")
    assert METRICS[name](model, x, target, x, **{**knobs, **pasted}).isfinite().any()


def test_a_radius_below_rounding_is_refused(model, x, target):
    """Of numbers around 1e8 in single precision none moves by 0.02: every map would be perfectly steady."""
    net, large = model.float(), 1e8 + x.float()
    arguments = net, large, target, large
    with pytest.raises(ValueError, match="radius must move every input") as refusal:
        max_sensitivity(*arguments, method=METHODS["gradient"])
    pasted = {}
    exec(str(refusal.value).split("try: ")[1], pasted)
    scores = max_sensitivity(
        *arguments, method=METHODS["baseline_distance"], radius=pasted["radius"], same_prediction=False
    )
    assert (scores > 0).all()


def test_one_cell_is_no_grid(model, x, target):
    with pytest.raises(ValueError, match="one cell holds what any map says"):
        grid_pointing(model, x, target, x, method=METHODS["gradient"], side=1)


def test_values_that_differ_by_rounding_are_made_equal():
    """Of outputs around 1 in double precision, 4e-16 is rounding: the least of neighbours stands for them."""
    values = torch.tensor([[0.5 + 3e-16, -2e-16, 0.5, 0.3, 1e-15]], dtype=torch.double).T
    merged = merge_rounding(values, torch.ones(2, 1, dtype=torch.double))
    assert merged[:, 0].tolist() == [0.5, 0.0, 0.5, 0.3, 1e-15]


def test_neighbours_are_merged_within_one_step_and_not_along_a_chain():
    """Of 0.5, 0.5 + 4e-16 and 0.5 + 8e-16 the last one is two steps from the first."""
    values = 0.5 + torch.tensor([[0.0, 4e-16, 8e-16]], dtype=torch.double).T
    merged = merge_rounding(values, torch.ones(1, 1, dtype=torch.double))
    assert merged[0] == merged[1] < merged[2]


def test_parts_without_effect_are_not_ranked_by_rounding():
    """The last two features do nothing: exchanged in the map, they leave 0.9 ** 0.5, with ranks 1.5, 1.5, 3 and 4."""

    def model(x):
        z = x[:, :1] + 2 * x[:, 1:2] + 2e-16 * x[:, 3:]
        return torch.cat([z, -z], 1)

    x = torch.ones(1, 4, dtype=torch.double)
    a = torch.tensor([[3.0, 4.0, 1.0, 2.0]], dtype=torch.double)
    turned = torch.tensor([[3.0, 4.0, 2.0, 1.0]], dtype=torch.double)
    target = torch.tensor([0])
    for each in (a, turned):
        assert float(single_deletion(model, x, target, each)) == pytest.approx(0.9**0.5)
