"""Every metric on every network: equal to a reference written independently, or a refusal with a way out."""

from itertools import pairwise

import metric_references
import pytest
import torch
from metric_references import Game
from zoo import LAST, ZOO, build_model
from zoo_scores import choose_method, draw_map, measure_named_units, measure_or_refuse

from xnb.metrics import METRICS

every_kind = pytest.mark.parametrize("kind", ZOO)
NAN_OF_FEW_UNITS = {"efficient_mprt"}  # each in a bin of its own
COMPOSED = {"grid_pointing"}  # puts inputs of the batch together, so one alone is no batch


@pytest.mark.parametrize("name", METRICS)
@every_kind
def test_scores_are_finite_and_know_no_other_row(kind, name):
    together = measure_or_refuse(kind, name)
    if together is None:
        return
    x = ZOO[kind].inputs()
    assert together.shape == (len(x),)
    assert together.dtype == x.dtype
    assert together.isfinite().all() or name in NAN_OF_FEW_UNITS
    if name not in COMPOSED:
        alone = measure_or_refuse(kind, name, rows=LAST)
        torch.testing.assert_close(together[2:], alone, rtol=1e-6, atol=1e-9, equal_nan=True)


@every_kind
def test_units_that_are_seen_are_the_right_ones(kind):
    torch.testing.assert_close(measure_or_refuse(kind, "entropy"), measure_named_units(kind, "entropy"))


@pytest.mark.parametrize("name", metric_references.METRICS)
@every_kind
def test_scores_are_those_of_the_reference(kind, name):
    """Of a random map: no two of its units have the same value, so that no order among equals matters."""
    animal = ZOO[kind]
    found = measure_or_refuse(kind, name, "random")
    assert found is not None
    x = animal.inputs()
    games = [Game(build_model(kind), x, animal.target(), i) for i in range(len(x))]
    maps = draw_map(kind, "random")
    measure = metric_references.METRICS[name]
    expected = [measure(game, z, a, animal) for game, z, a in zip(games, x, maps, strict=True)]
    torch.testing.assert_close(found, x.new_tensor(expected), rtol=1e-6, atol=1e-9)


@pytest.mark.parametrize("kind", ["relu", "wave", "volume", "second input", "one logit", "black box", "embedded text"])
def test_max_sensitivity_is_that_of_the_neighbours_it_asks_for(kind):
    """Four neighbours within 0.02; the distance of their maps by the length of the input's own."""
    animal = ZOO[kind]
    model, x, target = build_model(kind), animal.inputs(), animal.target()
    asked = []
    explain = choose_method(kind)

    def keep(model, inputs, classes):
        asked.append((inputs, explain(model, inputs, classes)))
        return asked[-1][1]

    own = draw_map(kind, "exact")
    metric = METRICS["max_sensitivity"]
    found = metric(model, x, target, own, method=keep, samples=4, same_prediction=False)
    inputs = torch.cat([pair[0] for pair in asked])
    maps = torch.cat([pair[1] for pair in asked])
    for z, a, score in zip(x, own, found, strict=True):
        near = (inputs - z).flatten(1).abs().amax(1) <= 0.02
        assert near.sum() == 4
        expected = metric_references.max_sensitivity(maps[near], a)
        assert float(score) == pytest.approx(expected, rel=1e-9)


@pytest.mark.parametrize("kind", ["relu", "wave", "volume", "class token first", "gru", "one logit", "shifted windows"])
def test_mprt_is_the_mean_correlation_with_the_maps_of_random_copies(kind):
    """From the logits down, a layer more is random at each step."""
    animal = ZOO[kind]
    model, x, target = build_model(kind), animal.inputs(), animal.target()
    maps, changed = [], []

    def keep(copy, inputs, classes):
        pairs = zip(model.named_parameters(), copy.parameters(), strict=True)
        changed.append({name for (name, before), after in pairs if not torch.equal(before, after)})
        maps.append(choose_method(kind)(copy, inputs, classes))
        return maps[-1]

    own = draw_map(kind, "exact")
    found = METRICS["mprt"](model, x, target, own, method=keep, units=animal.units)
    assert all(fewer < more for fewer, more in pairwise(changed))
    last = list(dict(model.named_parameters()))[-1].rpartition(".")[0]
    assert {name.rpartition(".")[0] for name in changed[0]} == {last}
    assert changed[-1] == {name for name, values in model.named_parameters() if values.numel()}
    expected = [metric_references.mprt([a[i] for a in maps], own[i], animal) for i in range(len(x))]
    torch.testing.assert_close(found, x.new_tensor(expected), rtol=1e-9, atol=1e-9)


BLIND_TO_MAPS = {"grid_pointing", "smooth_mprt"}  # as their docstrings say
COUNTED = {"pointing_game", "road"}  # hits, or steps: three inputs may agree by chance


def measure_all_maps(kind, name):
    """The scores of the exact map, a random one and a constant one."""
    return [measure_or_refuse(kind, name, which) for which in ("exact", "random", "constant")]


@pytest.mark.parametrize("name", sorted(METRICS.keys() - BLIND_TO_MAPS - COUNTED))
@pytest.mark.parametrize("kind", ["relu", "wave", "volume", "table, tanh", "class token first", "bag"])
def test_maps_that_differ_score_differently(kind, name):
    """Where a number cannot tell them apart, it is NaN or refused."""
    scores = measure_all_maps(kind, name)
    if any(one is None for one in scores):
        return
    exact, *others = scores
    for other in others:
        assert ((exact != other) | exact.isnan()).any()


@pytest.mark.parametrize("name", sorted(COUNTED))
def test_maps_that_differ_are_told_apart_by_counts_somewhere(name):
    scores = [measure_all_maps(kind, name) for kind in ("relu", "dense", "mixer", "lstm", "table, tanh")]
    assert any(not torch.equal(exact, drawn) for exact, drawn, _ in scores)
