"""Localisation: closed forms, what says nothing scores as chance, scikit-learn and Quantus, and where Quantus errs."""

import numpy as np
import pytest
import torch
from sklearn.metrics import roc_auc_score

from xnb import METHODS
from xnb.metrics import METRICS
from xnb.metrics.localisation import (
    auc,
    chance_level,
    energy_pointing,
    grid_pointing,
    make_grids,
    pointing_game,
    relevance_mass,
    relevance_rank,
)

NAMES = ["pointing_game", "energy_pointing", "relevance_mass", "relevance_rank", "auc"]
X, Y = torch.zeros(1, 3, 2, 2), torch.zeros(1, dtype=torch.long)


def nothing(x):
    raise AssertionError("a mask and a map are all that is needed")


def scored(metric, values, mask, **knobs):
    """The metric on one picture of 2 x 2 pixels."""
    a, masks = torch.tensor(values).view(1, 1, 2, 2), torch.tensor(mask).bool().view(1, 1, 2, 2)
    return metric(nothing, X, Y, a, masks=masks, **knobs).item()


@pytest.fixture
def pictures():
    rng = torch.Generator().manual_seed(3)
    masks = torch.rand(200, 1, 8, 8, generator=rng) < 0.2
    return torch.rand(200, 3, 8, 8, generator=rng), torch.arange(200) % 4, masks


@pytest.mark.parametrize(
    ("metric", "values", "mask", "expected"),
    [
        (pointing_game, [4.0, 3, 2, 1], [1, 0, 0, 0], 1),
        (pointing_game, [4.0, 3, 2, -9], [0, 1, 1, 1], 0),
        (pointing_game, [4.0, 4, 4, 1], [1, 0, 0, 1], 1 / 3),
        (energy_pointing, [3.0, 1, -5, 0], [1, 0, 1, 0], 0.75),
        (energy_pointing, [-3.0, -1, -5, 0], [1, 0, 0, 0], 0.25),
        (relevance_mass, [3.0, 1, -5, 0], [1, 0, 1, 0], 8 / 9),
        (relevance_rank, [4.0, 3, 2, 1], [1, 0, 1, 0], 0.5),
        (relevance_rank, [4.0, 2, 2, 2], [1, 1, 0, 0], (1 + 1 / 3) / 2),
        (auc, [4.0, 3, 2, 1], [1, 0, 1, 0], 0.75),
        (auc, [4.0, 2, 2, 1], [0, 1, 0, 1], (0 + 0.5 + 0 + 0) / 4),
    ],
)
def test_closed_forms(metric, values, mask, expected):
    assert scored(metric, values, mask) == pytest.approx(expected)


@pytest.mark.parametrize("metric", [pointing_game, relevance_rank, auc])
def test_magnitudes_on_request(metric):
    assert scored(metric, [-4.0, 1, 2, 3], [1, 0, 0, 0]) == 0
    assert scored(metric, [-4.0, 1, 2, 3], [1, 0, 0, 0], absolute=True) == 1


def test_channels_are_summed():
    a = torch.zeros(1, 3, 2, 2)
    a[0, :, 0, 0] = torch.tensor([5.0, -4.0, 0.0])
    a[0, 0, 0, 1] = 2.0
    masks = torch.tensor([True, False, False, False]).view(1, 1, 2, 2)
    assert energy_pointing(nothing, X, Y, a, masks=masks).item() == pytest.approx(1 / 3)


@pytest.mark.parametrize("name", NAMES)
@pytest.mark.parametrize("level", [0.0, 0.5])
def test_a_constant_map_scores_as_chance_does(name, level, pictures):
    x, y, masks = pictures
    scores = METRICS[name](nothing, x, y, torch.full_like(x, level), masks=masks)
    torch.testing.assert_close(scores, chance_level(name, masks))


@pytest.mark.parametrize("name", NAMES)
def test_oracle_beats_random_beats_reversed_and_random_is_chance(name, pictures):
    x, y, masks = pictures
    rng = torch.Generator().manual_seed(0)
    noise = torch.rand(len(x), 1, 8, 8, generator=rng)
    maps = {"oracle": masks + 0.1 * noise, "random": noise, "reversed": 1 - masks.float() + 0.1 * noise}
    best, middle, worst = (METRICS[name](nothing, x, y, a, masks=masks).mean() for a in maps.values())
    assert best > middle + 0.3
    assert middle > worst + 0.1
    assert (middle - chance_level(name, masks).mean()).abs() < 0.07  # 200 hits or misses: a standard error of 0.03


@pytest.mark.parametrize("name", NAMES)
def test_empty_and_full_masks(name, pictures):
    x, y, _ = pictures
    a = torch.rand(len(x), 1, 8, 8, generator=torch.Generator().manual_seed(0))
    empty, full = torch.zeros(len(x), 1, 8, 8, dtype=torch.bool), torch.ones(len(x), 1, 8, 8, dtype=torch.bool)
    assert METRICS[name](nothing, x, y, a, masks=empty).isnan().all()
    assert METRICS[name](nothing, x, y, a, masks=full).isnan().all()


@pytest.mark.parametrize("name", NAMES)
def test_refusals(name, pictures, as_users_run):
    x, y, masks = pictures
    broken = torch.ones_like(x)
    broken[3, 0, 1, 1] = torch.nan
    with pytest.raises(ValueError, match="finite"):
        METRICS[name](nothing, x, y, broken, masks=masks)
    for wrong in (masks[:-1], masks.float(), masks[..., :-1], masks[:, 0], masks[0, 0], masks[:1], masks.numpy()):
        with pytest.raises(ValueError, match="masks must be bool") as refusal:
            METRICS[name](nothing, x, y, torch.ones_like(x), masks=wrong)
        pasted = {"masks": wrong, "x": x, "torch": torch}
        exec(str(refusal.value).split("try: ")[1], pasted)
        assert METRICS[name](nothing, x, y, torch.ones_like(x), masks=pasted["masks"]).shape == (200,)


def test_auc_is_scikit_learns_also_with_ties(pictures):
    x, y, masks = pictures
    a = (4 * x[:, :1]).round()
    scores = auc(nothing, x, y, a, masks=masks)
    expected = [roc_auc_score(m, v) for m, v in zip(masks.flatten(1).numpy(), a.flatten(1).numpy(), strict=True)]
    np.testing.assert_allclose(scores, expected, rtol=1e-6)


@pytest.mark.parametrize(
    ("name", "theirs"),
    [
        ("pointing_game", "PointingGame"),
        ("relevance_mass", "RelevanceMassAccuracy"),
        ("relevance_rank", "RelevanceRankAccuracy"),
        ("auc", "AUC"),
    ],
)
def test_quantus_agrees_on_positive_maps_without_ties(name, theirs, pictures, quantus):
    x, y, masks = pictures
    a = torch.rand(len(x), 1, 8, 8, generator=torch.Generator().manual_seed(0))
    metric = getattr(quantus, theirs)(disable_warnings=True)
    expected = metric.evaluate_batch(a_batch=a.numpy(), s_batch=masks.numpy())
    np.testing.assert_allclose(METRICS[name](nothing, x, y, a, masks=masks), expected, rtol=1e-5)


def test_a_constant_map_wins_the_pointing_game_of_quantus(pictures, quantus):
    """It refuses a batch that is constant as a whole, and nothing else."""
    x, y, masks = pictures
    a = torch.rand(len(x), 1, 8, 8, generator=torch.Generator().manual_seed(0))
    a[:100] = torch.rand(100, 1, 1, 1, generator=torch.Generator().manual_seed(1))
    masks[0] = False
    theirs = quantus.PointingGame(disable_warnings=True)
    data = {"x_batch": x.numpy(), "y_batch": y.numpy(), "a_batch": a.numpy(), "s_batch": masks.numpy()}
    hits = theirs(model=torch.nn.Flatten().eval(), **data)
    assert all(hits[1:100])
    assert hits[0]  # and it hits what is not there: NaN in an array of bool is True
    ours = pointing_game(nothing, x, y, a, masks=masks)
    torch.testing.assert_close(ours[1:100], masks[1:100].flatten(1).float().mean(1))
    assert ours[0].isnan()


def test_the_mass_of_a_signed_map_leaves_the_unit_interval_in_quantus(quantus):
    a, mask = np.array([[3.0, -2.9, 0.1, 0.0]]), np.array([[1, 0, 0, 0]])
    theirs = quantus.RelevanceMassAccuracy(abs=False, normalise=False, disable_warnings=True)
    assert theirs.evaluate_batch(a_batch=a, s_batch=mask) == pytest.approx(15)
    assert scored(relevance_mass, a[0].astype(np.float32), mask[0]) == pytest.approx(0.5)


def test_the_rank_of_a_constant_map_is_where_the_mask_lies_in_quantus(quantus):
    """The order among ties is that of the pixels, so a mask in the first rows is a full hit."""
    a, top, bottom = np.ones((1, 16)), np.arange(16)[None] < 4, np.arange(16)[None] >= 12
    theirs = quantus.RelevanceRankAccuracy(disable_warnings=True)
    assert theirs.evaluate_batch(a_batch=a, s_batch=top) == 1
    assert theirs.evaluate_batch(a_batch=a, s_batch=bottom) == 0


def colours(x):
    """Logit k is the mean of channel k: the true explanation is the channel itself."""
    return x.mean((2, 3))


@pytest.fixture
def coloured():
    """Pictures of one colour each: class k lights channel k alone."""
    y = torch.arange(24) % 4
    return torch.nn.functional.one_hot(y, 4).float().view(24, 4, 1, 1).expand(-1, -1, 6, 5).contiguous(), y


@pytest.mark.parametrize("side", [1, 2])
def test_grids_hold_different_classes_and_the_cell_holds_the_input(coloured, side):
    x, y = coloured
    grid = make_grids(x, y, side=side, seed=1)
    assert grid.x.shape == (24, 4, 6 * side, 5 * side)
    assert grid.masks.shape == (24, 1, 6 * side, 5 * side)
    for one, mask, original in zip(grid.x, grid.masks[:, 0], x, strict=True):
        torch.testing.assert_close(one[:, mask].view(4, 6, 5), original)
        shown = {int(one[:, 6 * r, 5 * c].argmax()) for r in range(side) for c in range(side)}
        assert len(shown) == side**2
    places = {int(mask.flatten().int().argmax()) for mask in grid.masks}
    assert len(places) == side**2


def test_grid_pointing_of_a_true_map_is_one_and_of_controls_chance(coloured):
    x, y = coloured
    attribution = torch.zeros_like(x)
    truth = grid_pointing(colours, x, y, attribution, method=METHODS["gradient_times_input"])
    torch.testing.assert_close(truth, torch.ones(24))
    constant = grid_pointing(colours, x, y, attribution, method=METHODS["constant"])
    torch.testing.assert_close(constant, chance_level("grid_pointing", torch.ones(24, 1, 6, 5) > 0))
    noise = grid_pointing(colours, x, y, attribution, method=METHODS["random"])
    assert (noise.mean() - 0.25).abs() < 0.05


def test_grids_refuse_too_few_classes(coloured):
    x, y = coloured
    with pytest.raises(ValueError, match=r"at least 9 classes\n  got: 4\n  try: side=2"):
        make_grids(x, y, side=3)
