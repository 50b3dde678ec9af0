"""Everyday slips in a call of a metric: right, or refused with a line that works."""

import numpy as np
import pytest
import torch

import xnb
from xnb import METHODS
from xnb.metrics import METRICS, deletion, max_sensitivity, mprt, mprt_curve, removal_curve, single_deletion, sparseness

every = pytest.mark.parametrize("name", sorted(METRICS))
GRID = "grid_pointing"  # needs four classes in the batch


def asked(name, model):
    known = {"masks": torch.eye(6).bool().expand(5, 1, 6, 6), "method": METHODS["gradient"], "other": model}
    return {argument: known[argument] for argument in METRICS.cards[name].asks}


def call(name, model, x, target, a):
    return METRICS[name](model, x, target, a, **asked(name, model))


@pytest.mark.parametrize("name", sorted(METRICS.keys() - {GRID}))
def test_one_class_for_all_as_number_list_array_or_tensor(name, model, x):
    expected = call(name, model, x, torch.ones(5, dtype=torch.long), x)
    for target in (1, [1] * 5, np.ones(5, dtype=np.int64), np.int32(1), torch.tensor(1), (1, 1, 1, 1, 1)):
        torch.testing.assert_close(call(name, model, x, target, x), expected, equal_nan=True)


@pytest.mark.parametrize("name", sorted(METRICS.keys() - {GRID}))
def test_maps_as_arrays_and_in_other_dtypes(name, model, x, target):
    a = (4 * x).round()
    expected = call(name, model, x, target, a)
    for other in (a.numpy(), a.float(), a.long(), a.numpy().astype(np.int16), a.clone().requires_grad_()):
        scores = call(name, model, x, target, other)
        assert scores.dtype == x.dtype
        torch.testing.assert_close(scores, expected, equal_nan=True, rtol=1e-6, atol=1e-6)


def test_a_map_of_yes_and_no_is_one_of_numbers(model, x, target):
    a = x > 0
    torch.testing.assert_close(deletion(model, x, target, a), deletion(model, x, target, a.double()))


@every
def test_no_input_has_no_scores(name, model, x, target):
    nothing = {argument: value[:0] if argument == "masks" else value for argument, value in asked(name, model).items()}
    for empty in ([], target[:0], 1):
        scores = METRICS[name](model, x[:0], empty, x[:0], **nothing)
        assert scores.shape == (0,)
        assert scores.dtype == x.dtype


@pytest.mark.parametrize(
    ("wrong", "says"),
    [
        (lambda x: x[:, 0], r"unsqueeze\(1\)"),
        (lambda x: x[0], "attribution = attribution"),
        (lambda x: x[0, 0], "attribution = attribution"),
        (lambda x: x[:, :, :3], "xnb.attribute"),
        (lambda x: "a map", "xnb.attribute"),
        (lambda x: x.to(torch.complex128), "real"),
    ],
)
def test_maps_of_another_shape_are_refused_with_a_line_that_works(wrong, says, model, x, as_users_run):
    one = x[:1]
    with pytest.raises(ValueError, match=says) as refusal:
        deletion(model, one, 1, wrong(one))
    pasted = {"attribution": wrong(one), "xnb": xnb, "model": model, "x": one, "target": 1}
    exec(str(refusal.value).split("try: ")[1], pasted)
    assert deletion(model, one, 1, pasted["attribution"]).shape == (1,)


@pytest.mark.parametrize("name", ["deletion", "single_deletion", "saco"])
def test_one_picture_without_its_batch_axis(name, model, x):
    """Seen from what the model takes: `x = x[None]`."""
    picture = x[0]
    with pytest.raises(ValueError, match=r"x = x\[None\]") as refusal:
        METRICS[name](model, picture, 1, picture)
    assert "batch axis" in str(refusal.value)


@pytest.mark.parametrize(
    ("x", "says"),
    [
        (np.ones((2, 3)), "as_tensor"),
        ([[1.0, 2.0]], "as_tensor"),
        (torch.ones(2, 3, 4, 4).byte(), r"x.float\(\) / 255"),
    ],
)
def test_what_is_no_batch_of_numbers_is_refused(x, says, as_users_run):
    for metric in (deletion, sparseness):
        with pytest.raises(ValueError, match=says):
            metric(lambda x: x.flatten(1), x, 0, torch.ones(2, 3))


def test_a_method_is_a_function_and_its_name_is_refused_with_it(model, x, target):
    arguments = model, x, target, x
    for wrong in ({"method": "gradient"}, {"method": None}, {}):
        with pytest.raises(ValueError, match="method") as refusal:
            max_sensitivity(*arguments, **wrong)
        assert 'method=xnb.METHODS["gradient"]' in str(refusal.value)
    pasted = {"xnb": xnb}
    exec(str(refusal.value).split("try: ")[1], pasted)
    assert max_sensitivity(*arguments, method=pasted["method"]).isfinite().all()


def test_an_unknown_knob_gets_the_near_ones(model, x, target):
    with pytest.raises(ValueError, match="steps"):
        deletion(model, x, target, x, step=3)


def test_curves_read_targets_too(model, x):
    ones = torch.ones(5, dtype=torch.long)
    assert torch.equal(removal_curve(model, x, 1, x), removal_curve(model, x, ones, x))
    knobs = {"method": METHODS["gradient"], "layers": ["5"]}
    for name, similarity in mprt_curve(model, x, [1] * 5, x, **knobs).items():
        assert torch.equal(similarity, mprt_curve(model, x, ones, x, **knobs)[name])
    assert mprt(model, x, 1, x, **knobs).shape == single_deletion(model, x, 1, x).shape
