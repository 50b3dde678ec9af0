"""What every method owes, checked for every method: registering one is enough to be tested.

Tests: xnb.methods.registry
"""

import copy
import inspect

import pytest
import torch
from networks import CastLinear, ScratchLinear, tensors_of, visible_state
from torch import nn

from xnb import METHODS, attribute, catalog
from xnb.access.ledger import count_passes
from xnb.access.memo import remember_answers
from xnb.access.score import score

every = pytest.mark.parametrize("name", sorted(METHODS))
TARGET_FREE = {"nothing", "target_free"}


def every_that_promises(axiom):
    return pytest.mark.parametrize("name", sorted(n for n, card in METHODS.cards.items() if axiom in card.axioms))


def every_that_needs(*needs):
    return pytest.mark.parametrize("name", sorted(n for n, card in METHODS.cards.items() if card.needs in needs))


@every
def test_shape_broadcasts_to_input(name, model, x, target):
    a = attribute(model, x, target, name)
    assert torch.broadcast_shapes(a.shape, x.shape) == x.shape
    assert a.abs().sum() > 0


@every
def test_same_call_same_answer(name, model, x, target):
    assert torch.equal(attribute(model, x, target, name), attribute(model, x, target, name))


@every
def test_batch_does_not_leak(name, model, x, target):
    together = attribute(model, x, target, name)
    alone = torch.cat([attribute(model, x[i : i + 1], target[i : i + 1], name) for i in range(len(x))])
    torch.testing.assert_close(together, alone)


@pytest.mark.parametrize("name", sorted(n for n in METHODS if "chunk" in inspect.signature(METHODS[n]).parameters))
@pytest.mark.parametrize("chunk", [1, 2, 100])
def test_chunk_does_not_matter(name, chunk, model, x, target):
    torch.testing.assert_close(
        attribute(model, x, target, name, chunk=chunk), attribute(model, x, target, name), rtol=1e-10, atol=1e-12
    )


@every_that_needs("forward", "gradient", "modules")
def test_every_method_that_runs_the_model_takes_chunk(name):
    assert "chunk" in inspect.signature(METHODS[name]).parameters


@every
@pytest.mark.parametrize("dtype", [torch.float64, torch.float32, torch.bfloat16])
def test_keeps_dtype(name, dtype, model, x, target):
    assert attribute(model.to(dtype), x.to(dtype), target, name).dtype == dtype


# Regions, coalitions and masks are planned on the processor, the same for every device, and then moved.
PLANNED = set(
    "attention_flow exact_shapley feature_ablation kernel_shap lime occlusion permutation_shapley rise "
    "token_occlusion".split()
)


@pytest.mark.parametrize("name", sorted(METHODS.keys() - PLANNED))
def test_makes_its_tensors_where_the_input_is(name, model, x, target):
    """What names no device would land on "meta" here, as it would on the processor beside an accelerator's input."""
    with torch.device("meta"):
        a = attribute(model, x, target, name)
    assert torch.equal(a, attribute(model, x, target, name))


@every
@pytest.mark.parametrize("spoil", ["nothing", "target", "model"])
def test_leaves_no_trace(name, spoil, model, x, target):
    class Interrupted(nn.Module):
        def forward(self, x):
            raise KeyboardInterrupt

    if spoil == "model":
        model.append(Interrupted().eval())
    model[0].weight.requires_grad_(False)
    before = visible_state(model, x, target)
    weights = copy.deepcopy(model.state_dict())
    pixels = x.clone()
    rng = torch.get_rng_state()
    runs_the_model = METHODS.cards[name].needs != "nothing"
    if spoil != "nothing" and runs_the_model:
        with pytest.raises((ValueError, KeyboardInterrupt)):
            attribute(model, x, target + 99 if spoil == "target" else target, name)
    else:
        attribute(model, x, target, name)
    assert visible_state(model, x, target) == before
    assert torch.equal(torch.get_rng_state(), rng)
    assert torch.equal(x, pixels)
    assert all(torch.equal(a, b) for a, b in zip(weights.values(), model.state_dict().values(), strict=True))


def outcome(model, x, target, name):
    """The attribution, or the refusal: a model that a method cannot explain it must refuse every time."""
    try:
        return attribute(model, x, target, name)
    except ValueError as error:
        return str(error)


@every
@pytest.mark.parametrize("head", [CastLinear, ScratchLinear])
def test_the_second_call_is_the_first(name, head, model, x, target):
    """Also of models whose own tensors, weights and memory, go through the functions that a method watches."""
    model[-1] = head(model[-1]).eval()
    with torch.no_grad():
        model(x)  # makes its memory, which would be one more function to name in a refusal
    first = outcome(model, x, target, name)
    assert not any(map(vars, tensors_of(model)))
    second = outcome(model, x, target, name)
    assert first == second if isinstance(first, str) else torch.equal(first, second)


@pytest.mark.parametrize("name", ["guided_backprop", "deconvnet"])
def test_explains_a_model_that_writes_into_memory_of_its_own(name, model, x, target):
    expected = attribute(nn.Sequential(*model, nn.ReLU()).eval(), x, target, name)
    model[-1] = ScratchLinear(model[-1]).eval()
    attribute(model, x, target, "gradient")  # leaves its graph there
    for _ in range(2):
        torch.testing.assert_close(attribute(model, x, target, name), expected)


@every
def test_works_under_no_grad_and_on_a_grad_input(name, model, x, target):
    expected = attribute(model, x, target, name)
    with torch.no_grad():
        assert torch.equal(attribute(model, x, target, name), expected)
    assert torch.equal(attribute(model, x.clone().requires_grad_(), target, name), expected)


@every_that_needs("forward", "gradient", "modules")
def test_refuses_training_mode_anywhere(name, model, x, target):
    model[3].train()
    with pytest.raises(ValueError, match="evaluation mode"):
        attribute(model, x, target, name)


@every_that_needs("forward", "gradient")
def test_takes_any_callable(name, model, x, target):
    assert torch.equal(attribute(lambda z: model(z), x, target, name), attribute(model, x, target, name))


@pytest.mark.parametrize(
    "name", sorted(n for n, c in METHODS.cards.items() if {c.needs, *c.axioms}.isdisjoint(TARGET_FREE))
)
def test_depends_on_the_target(name, model, x, target):
    assert not torch.equal(attribute(model, x, target, name), attribute(model, x, (target + 1) % 3, name))


@every_that_promises("target_free")
def test_is_the_same_for_every_target(name, model, x, target):
    torch.testing.assert_close(attribute(model, x, target, name), attribute(model, x, (target + 1) % 3, name))


@every_that_needs("nothing")
def test_controls_do_not_depend_on_model_or_target(name, model, x, target):
    expected = attribute(model, x, target, name)
    for weights in model.parameters():
        weights.data.neg_()
    assert torch.equal(attribute(model, x, (target + 1) % 3, name), expected)


@every_that_promises("complete")
def test_adds_up_to_the_change_of_score(name, model, x, target):
    knobs = {"steps": 512} if "steps" in inspect.signature(METHODS[name]).parameters else {}
    a = attribute(model, x, target, name, **knobs)
    change = score(model, x, target) - score(model, torch.zeros_like(x), target)
    torch.testing.assert_close(a.flatten(1).sum(1), change, rtol=2e-3, atol=2e-3)


@every_that_promises("linear")
def test_exact_on_a_linear_model(name, x, target):
    with torch.random.fork_rng():
        torch.manual_seed(0)
        linear = nn.Sequential(nn.Flatten(), nn.Linear(72, 3)).double().eval()
    weights = linear[1].weight[target].reshape_as(x)
    torch.testing.assert_close(attribute(linear, x, target, name), x * weights.detach(), rtol=1e-10, atol=1e-12)


@every_that_promises("dummy")
def test_unused_input_gets_nothing(name, model, x, target):
    with torch.no_grad():
        model[0].weight[:, 1] = 0  # the model no longer sees channel 1
    a = attribute(model, x, target, name)
    if a.shape[1] == 2:
        assert a[:, 1].abs().max() == 0
    else:  # a map shared by the channels must not depend on the unseen one
        torch.testing.assert_close(attribute(model, x * torch.tensor([1.0, 7.0])[:, None, None], target, name), a)


@every
def test_says_which_gradient_it_shares(name, model, x, target):
    """After a method that starts from the same gradient it needs fewer passes; after others it needs as many."""
    card = METHODS.cards[name]
    others = ["gradient"] if card.family == "attention" else ["gradient", "grad_cam"]
    with count_passes() as alone:
        attribute(model, x, target, name)
    with remember_answers():
        for other in others:
            attribute(model, x, target, other)
        with count_passes() as after:
            attribute(model, x, target, name)
    assert (after.backward < alone.backward) == bool(card.shares)
    assert card.shares != "layer_gradient" or "layer" in inspect.signature(METHODS[name]).parameters


def test_catalog_has_a_full_row_a_method():
    table = catalog()
    assert list(table.columns) == ["method", "family", "needs", "cost", "axioms", "paper", "sign"]
    assert set(table["method"]) == set(METHODS)
    assert all(METHODS[name].__name__ == name and METHODS[name].__doc__ for name in table["method"])
    assert (table["paper"].str.len() > 0).all()
