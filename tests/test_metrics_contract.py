"""What every metric owes, checked for every metric: registering one is enough to be tested.

Tests: xnb.metrics.registry
"""

import copy
import inspect
import pkgutil
import sys

import pytest
import torch
from networks import visible_state
from torch import nn

import xnb
from xnb import METHODS, metrics
from xnb.access import ledger, memo
from xnb.metrics import METRICS, catalog

# these never run the model
BLIND = {n for n, c in METRICS.cards.items() if c.category == "complexity" or c.asks == ("masks",) or "other" in c.asks}
AFRESH = {"grid_pointing", "smooth_mprt"}  # explain inputs of their own, and do not read the map
COMPOSED = {"grid_pointing"}  # puts inputs of the batch together, so one alone is no batch
SHARED = ["single_deletion", "faithfulness_correlation", "sensitivity_n", "infidelity", "symmetry", "completeness_gap"]
# What a map that says nothing scores; removal of its pixels in random order is no special case.
CONSTANT_IS_NAN = {"single_deletion", "faithfulness_correlation", "sensitivity_n", "saco", "symmetry"}
OWN = {"faithfulness", "complexity", "axioms"}

every = pytest.mark.parametrize("name", sorted(METRICS))


def of(categories):
    return pytest.mark.parametrize(
        "name", sorted(n for n, card in METRICS.cards.items() if card.category in categories)
    )


def arguments(name, rows=slice(None)):
    """What a metric asks for beside the attribution."""
    masks = torch.zeros(5, 1, 6, 6, dtype=torch.bool)
    masks[:, :, 1:4, 2:4] = True
    every_argument = {"masks": masks[rows], "method": METHODS["gradient"], "other": network(1)}
    return {argument: every_argument[argument] for argument in METRICS.cards[name].asks}


def apply(name, model, x, target, a, **knobs):
    return METRICS[name](model, x, target, a, **{**arguments(name), **knobs})


def network(seed):
    with torch.random.fork_rng():
        torch.manual_seed(seed)
        layers = nn.Conv2d(2, 4, 3, padding=1), nn.ReLU(), nn.AdaptiveAvgPool2d(3), nn.Flatten(), nn.Linear(36, 4)
        return nn.Sequential(*layers).double().eval()


@pytest.fixture
def model():
    return network(0)


@pytest.fixture
def target():
    return torch.tensor([0, 1, 2, 3, 0])


@pytest.fixture
def a(model, x, target):
    return METHODS["gradient"](model, x, target).sum(1, keepdim=True)


@every
@pytest.mark.parametrize("dtype", [torch.float64, torch.float32, torch.bfloat16])
def test_one_number_an_input_in_its_dtype(name, dtype, model, x, target, a):
    knobs = {"other": network(1).to(dtype)} if "other" in METRICS.cards[name].asks else {}
    scores = apply(name, model.to(dtype), x.to(dtype), target, a.to(dtype), **knobs)
    assert scores.shape == (5,)
    assert scores.dtype == dtype
    assert not scores.requires_grad
    assert scores.isfinite().any()


@every
def test_same_call_same_answer_and_no_global_randomness(name, model, x, target, a):
    rng = torch.get_rng_state()
    first = apply(name, model, x, target, a)
    torch.rand(3)  # moves the global generator
    assert torch.equal(apply(name, model, x, target, a).nan_to_num(9), first.nan_to_num(9))
    torch.set_rng_state(rng)
    apply(name, model, x, target, a)
    assert torch.equal(torch.get_rng_state(), rng)


@pytest.mark.parametrize("name", sorted(METRICS.keys() - COMPOSED))
def test_batch_does_not_leak(name, model, x, target, a):
    each = [slice(i, i + 1) for i in range(5)]
    alone = torch.cat([METRICS[name](model, x[i], target[i], a[i], **arguments(name, i)) for i in each])
    torch.testing.assert_close(apply(name, model, x, target, a), alone, rtol=1e-9, atol=1e-9, equal_nan=True)


@pytest.mark.parametrize("name", sorted(n for n in METRICS if "chunk" in inspect.signature(METRICS[n]).parameters))
@pytest.mark.parametrize("chunk", [3, 100])
def test_chunk_does_not_matter(name, chunk, model, x, target, a):
    expected = apply(name, model, x, target, a)
    scores = apply(name, model, x, target, a, chunk=chunk)
    torch.testing.assert_close(scores, expected, rtol=1e-9, atol=1e-9, equal_nan=True)


@pytest.mark.parametrize("name", sorted(METRICS.keys() - BLIND))
def test_whoever_runs_the_model_refuses_training_mode(name, model, x, target, a):
    assert "chunk" in inspect.signature(METRICS[name]).parameters or "method" in METRICS.cards[name].asks
    model[1].train()
    with pytest.raises(ValueError, match="evaluation mode"):
        apply(name, model, x, target, a)


@every
@pytest.mark.parametrize("spoil", [False, True])
def test_leaves_no_trace(name, spoil, model, x, target, a):
    class Interrupted(nn.Module):
        def forward(self, x):
            raise KeyboardInterrupt

    if spoil:
        model.append(Interrupted().eval())
    weights, before = copy.deepcopy(model.state_dict()), [v.clone() for v in (x, target, a)]
    state = visible_state(model, x, target, a)
    if spoil and name not in BLIND:
        with pytest.raises(KeyboardInterrupt):
            apply(name, model, x, target, a)
    else:
        apply(name, model, x, target, a)
    assert all(torch.equal(*pair) for pair in zip(before, (x, target, a), strict=True))
    assert all(torch.equal(*pair) for pair in zip(weights.values(), model.state_dict().values(), strict=True))
    assert visible_state(model, x, target, a) == state


@every
def test_works_under_no_grad_and_on_tensors_with_grad(name, model, x, target, a):
    expected = apply(name, model, x, target, a).nan_to_num(9)
    with torch.no_grad():
        assert torch.equal(apply(name, model, x, target, a).nan_to_num(9), expected)
    scores = apply(name, model, x.clone().requires_grad_(), target, a.clone().requires_grad_())
    assert torch.equal(scores.nan_to_num(9), expected)
    assert not scores.requires_grad


@pytest.mark.parametrize("name", sorted(METRICS.keys() - AFRESH))
def test_refuses_maps_that_are_not_of_the_input(name, model, x, target, a, as_users_run):
    with pytest.raises(ValueError, match="finite"):
        METRICS[name](model, x, target, a.index_fill(0, torch.tensor(2), torch.nan), **arguments(name))
    with pytest.raises(ValueError, match="must broadcast"):
        METRICS[name](model, x, target, a[:, :, :3, :3], **arguments(name))


@of(OWN)
def test_constant_maps(name, model, x, target):
    scores = apply(name, model, x, target, torch.full_like(x[:, :1], 0.3))
    assert scores.isnan().all() if name in CONSTANT_IS_NAN else scores.isfinite().all()


def takes(name, knob):
    return knob in inspect.signature(METRICS[name]).parameters


@of(OWN)
@pytest.mark.parametrize("shape", [(2, 1, 7), (2, 5, 2)])
def test_pictures_of_odd_shape(name, shape):
    with torch.random.fork_rng():
        torch.manual_seed(0)
        model, x = nn.Sequential(nn.Flatten(), nn.LazyLinear(3)).eval(), torch.randn(4, *shape)
        model(x)
    knobs = {"impute": "mean"} if takes(name, "impute") else {}
    assert METRICS[name](model, x, torch.tensor([0, 1, 2, 0]), x, **knobs).shape == (4,)


@pytest.mark.parametrize("name", sorted(name for name in METRICS if takes(name, "units")))
@pytest.mark.parametrize("shape", [(1,), (2, 1, 1), (1, 1), (1, 1, 1, 1)])
def test_one_unit_is_refused(name, shape):
    """Every map of it scores alike: pictures of one pixel, tables of one feature."""
    with torch.random.fork_rng():
        torch.manual_seed(0)
        model, x = nn.Sequential(nn.Flatten(), nn.LazyLinear(3)).eval(), torch.randn(4, *shape)
        model(x)
    asked = {"method": METHODS["gradient"], "other": network(1)}
    arguments = {argument: asked[argument] for argument in METRICS.cards[name].asks}
    with pytest.raises(ValueError, match="one unit alone"):
        METRICS[name](model, x, 0, x, **arguments)


@of(OWN)
@pytest.mark.parametrize("shape", [(7,), (6, 1, 4, 4), (6, 5)], ids=["table", "bag", "tokens"])
def test_tables_and_bags(name, shape):
    """Removing a feature or an instance: a map that knows the model is better than its opposite."""
    with torch.random.fork_rng():
        torch.manual_seed(0)
        model, x = nn.Sequential(nn.Flatten(), nn.LazyLinear(3, bias=False)).double().eval(), torch.randn(20, *shape)
        x = x.double()
        target = model(x).argmax(1).detach()
    a = (x * model[1].weight[target].view_as(x)).detach()
    knobs = {"impute": "zero"} if takes(name, "impute") else {}
    if takes(name, "units"):
        knobs["units"] = 1
    good, bad = (METRICS[name](model, x, target, attribution, **knobs) for attribution in (a, -a))
    sign = {"higher": 1, "lower": -1}[METRICS.cards[name].better]
    if METRICS.cards[name].category == "faithfulness" or name == "completeness_gap":
        assert (sign * (good - bad)).nanmean() > 0
    else:
        torch.testing.assert_close(good, bad)


@of({"faithfulness"})
def test_oracle_beats_random_beats_reversed(name):
    with torch.random.fork_rng():
        torch.manual_seed(0)
        model, x = nn.Sequential(nn.Flatten(), nn.LazyLinear(3, bias=False)).double().eval(), torch.randn(24, 1, 12, 12)
        x = x.double()
        target = model(x).argmax(1).detach()
        noise = torch.randn_like(x)
    oracle = (x * model[1].weight[target].view_as(x)).detach()
    sign = {"higher": 1, "lower": -1}[METRICS.cards[name].better]
    best, random, worst = (sign * METRICS[name](model, x, target, a).mean() for a in (oracle, noise, -oracle))
    assert best > random > worst


@pytest.mark.parametrize("name", SHARED)
def test_passes_are_paid_once_for_all_methods(name, model, x, target, a):
    with memo.remember_answers():
        with ledger.count_passes() as first:
            once = apply(name, model, x, target, a)
        with ledger.count_passes() as second:
            again = apply(name, model, x, target, x)
    assert first.forward > 0
    assert second.forward == 0
    assert torch.equal(once, apply(name, model, x, target, a))
    assert torch.equal(again, apply(name, model, x, target, x))


def test_curves_are_shared(model, x, target, a):
    with memo.remember_answers():
        METRICS["srg"](model, x, target, a)
        with ledger.count_passes() as more:
            METRICS["morf"](model, x, target, a)
            METRICS["lerf"](model, x, target, a)
    assert more.forward == 0


def test_every_file_of_the_folder_is_loaded():
    """A new metric needs no mention: its file is found, and its name with it."""
    files = {module.name for module in pkgutil.iter_modules(metrics.__path__)}
    assert {f"xnb.metrics.{name}" for name in files} <= sys.modules.keys()
    assert all(getattr(metrics, name) is METRICS[name] for name in METRICS)
    assert not hasattr(metrics, "no_metric")


def test_the_catalog_goes_from_what_is_removed_to_what_is_moved():
    categories = dict.fromkeys(card.category for card in METRICS.cards.values())
    assert list(categories) == [
        "faithfulness", "axioms", "complexity", "localisation", "randomisation", "robustness"
    ]  # fmt: skip
    first, *_, last = METRICS
    assert (first, last) == ("single_deletion", "local_lipschitz")


def test_catalog_has_a_full_row_a_metric():
    table = catalog()
    assert list(table.columns) == ["metric", "category", "better", "paper", "asks"]
    assert set(table["metric"]) == set(METRICS)
    assert all(METRICS[n].__name__ == n and METRICS[n].__doc__ and getattr(metrics, n) is METRICS[n] for n in METRICS)
    assert (table["paper"].str.len() > 0).all()


def test_a_wrong_name_gets_the_near_ones():
    assert METRICS.find("srg") is metrics.srg
    with pytest.raises(ValueError, match="faithfulness_correlation"):
        METRICS.find("faithfulness")
    assert xnb.METHODS.keys().isdisjoint(METRICS)
