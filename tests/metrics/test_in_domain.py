"""The model to which a missing part is no surprise."""

import copy

import pytest
import torch
from torch import nn

from xnb.access.score import logits
from xnb.data.split import Part
from xnb.metrics.in_domain import fine_tune, remove_random_parts
from xnb.training.loop import evaluate


def test_half_of_the_inputs_lose_one_part_each():
    x = torch.ones(2000, 3, 8, 8)
    inputs = remove_random_parts(x, (2, 3), 4, "zero", torch.Generator().manual_seed(0))
    removed = (inputs == 0).flatten(1).sum(1) / 3
    assert set(removed.tolist()) == {0, 4}
    assert abs(float((removed == 4).double().mean()) - 0.5) < 0.05
    assert (inputs == 0).any(0).all()
    assert torch.equal((inputs == 0).all(1), (inputs == 0).any(1))
    assert x.min() == 1


@pytest.mark.parametrize("shape", [(6,), (6, 1, 4, 4)])
def test_tables_and_bags_lose_a_feature_or_an_instance(shape):
    inputs = remove_random_parts(torch.ones(200, *shape), (1,), 4, "zero", torch.Generator().manual_seed(0))
    removed = (inputs == 0).flatten(2).all(2) if len(shape) > 1 else inputs == 0
    assert set(removed.sum(1).tolist()) == {0, 1}


@pytest.fixture
def trained():
    """Two classes told apart by two redundant marks; the model reads the first alone."""
    rng = torch.Generator().manual_seed(0)
    y = torch.randint(2, (256,), generator=rng)
    x = 0.3 * torch.randn(256, 1, 4, 4, generator=rng)
    x[:, 0, 0, 0] += 2.0 * y - 1
    x[:, 0, 3, 3] += 2.0 * y - 1
    model = nn.Sequential(nn.Flatten(), nn.Linear(16, 2))
    with torch.no_grad():
        model[1].weight.zero_()
        model[1].bias.zero_()
        model[1].weight[:, 0] = torch.tensor([-4.0, 4])
    return model.eval(), Part(x, y)


def without_first(part):
    x = part.x.clone()
    x[:, :, 0, 0] = 0
    return Part(x, part.y)


def test_it_gets_used_to_missing_parts_and_leaves_the_model_alone(trained):
    model, part = trained
    before, state = copy.deepcopy(model.state_dict()), torch.get_rng_state()
    tuned = fine_tune(model, part, part, epochs=20, rate=3e-2)
    assert all(torch.equal(*pair) for pair in zip(before.values(), model.state_dict().values(), strict=True))
    assert torch.equal(torch.get_rng_state(), state)
    assert not tuned.training
    assert evaluate(model, without_first(part))[1] < 0.6
    assert evaluate(tuned, without_first(part))[1] > 0.9
    assert evaluate(tuned, part)[1] > 0.95


def test_the_seed_decides(trained):
    model, part = trained
    outputs = [logits(fine_tune(model, part, part, epochs=2, seed=seed), part.x) for seed in (0, 0, 1)]
    assert torch.equal(outputs[0], outputs[1])
    assert not torch.equal(outputs[0], outputs[2])


def test_no_epoch_is_refused(trained):
    model, part = trained
    with pytest.raises(ValueError, match="epochs"):
        fine_tune(model, part, part, epochs=0)
