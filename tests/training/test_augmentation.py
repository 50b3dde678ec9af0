"""Flips and shifts: exact, drawn from a generator alone, and from (seed, epoch) in the loop."""

import pytest
import torch
from torch import nn
from torch.nn import functional as F
from torch.optim import SGD

from xnb.data import Part
from xnb.training import train_epochs
from xnb.training.augmentation import flips_and_shifts, random_flips, random_shifts


def draws(seed=0):
    return torch.Generator().manual_seed(seed)


def numbered(count=200, side=8):
    """Pictures whose every value is another one."""
    return torch.arange(count * 2 * side * side, dtype=torch.float32).view(count, 2, side, side)


def test_flips_are_exact_and_of_about_half():
    x = numbered()
    before = x.clone()
    flipped = random_flips()(x, draws())
    is_same = (flipped == x).flatten(1).all(1)
    is_mirrored = (flipped == x.flip(3)).flatten(1).all(1)
    assert (is_same ^ is_mirrored).all()
    assert 70 < is_mirrored.sum() < 130
    assert torch.equal(x, before)


@pytest.mark.parametrize("most", [0, 1, 4])
def test_shifts_are_windows_of_the_mirrored_picture_and_all_occur(most):
    x = numbered(1500)
    shifted = random_shifts(most)(x, draws())
    wide = F.pad(x, [most] * 4, mode="reflect")
    counts = []
    found = torch.zeros(len(x), dtype=torch.bool)
    for top in range(2 * most + 1):
        for left in range(2 * most + 1):
            is_here = (shifted == wide[:, :, top : top + 8, left : left + 8]).flatten(1).all(1)
            counts.append(int(is_here.sum()))
            found |= is_here
    assert found.all()
    assert sum(counts) == len(x)
    assert min(counts) > 0


def test_both_are_one_after_the_other():
    x = numbered()
    generator = draws()
    expected = random_shifts(2)(random_flips()(x, generator), generator)
    assert torch.equal(flips_and_shifts(2)(x, draws()), expected)


def test_the_same_generator_draws_the_same_and_the_global_one_is_left_alone():
    x = numbered()
    state = torch.get_rng_state()
    augment = flips_and_shifts()
    assert torch.equal(augment(x, draws(1)), augment(x, draws(1)))
    assert not torch.equal(augment(x, draws(1)), augment(x, draws(2)))
    assert torch.equal(torch.get_rng_state(), state)


@pytest.mark.usefixtures("as_users_run")
def test_moves_that_do_not_fit_are_refused():
    with pytest.raises(ValueError, match="at least 0 pixels"):
        random_shifts(-1)
    with pytest.raises(ValueError, match=r"larger than the largest move[\s\S]*try: random_shifts\(3\)"):
        random_shifts(4)(torch.rand(2, 3, 4, 4), draws())


class Watching(nn.Module):
    """Keeps what it is trained on."""

    def __init__(self):
        super().__init__()
        self.head = nn.Linear(16, 2)
        self.seen = []

    def forward(self, x):
        if self.training:
            self.seen.append(x.clone())
        return self.head(x.flatten(1))


def watch(epochs, *, start=0, seed=0, **knobs):
    """All that a network is trained on, an entry an epoch."""
    x = torch.randn(64, 1, 4, 4, generator=draws())
    part = Part(x, (x[:, 0, 0, 0] > 0).long(), masks=torch.ones(64, 1, 4, 4, dtype=torch.bool))
    net, seen = Watching(), []
    optimizer = SGD(net.parameters(), lr=0.1)
    for _ in train_epochs(
        net, part, part, epochs=epochs, start=start, seed=seed, batch=16, optimizer=optimizer, **knobs
    ):
        seen.append(torch.cat(net.seen))
        net.seen.clear()
    return seen


def test_draws_depend_on_seed_and_epoch_alone():
    knobs = {"augment": flips_and_shifts(1)}
    whole = watch(3, **knobs)
    assert torch.equal(watch(3, start=2, **knobs)[0], whole[2])
    assert not torch.equal(watch(3, seed=1, **knobs)[0], whole[0])
    # The order of the batches is the same with and without: only what is done to each picture differs.
    left_alone = watch(3)
    nothing = watch(3, augment=lambda x, draws: x)
    assert all(torch.equal(a, b) for a, b in zip(left_alone, nothing, strict=True))
    flipped = watch(1, augment=random_flips())[0]
    is_mirrored = (flipped == left_alone[0].flip(3)).flatten(1).all(1)
    assert ((flipped == left_alone[0]).flatten(1).all(1) ^ is_mirrored).all()


def test_an_objective_gets_no_masks_of_pictures_that_were_moved():
    seen = []

    def objective(model, part):
        seen.append(part.masks is None)
        out = model(part.x)
        return F.cross_entropy(out, part.y), out

    watch(1, objective=objective)
    watch(1, objective=objective, augment=flips_and_shifts(1))
    assert seen == [False] * 4 + [True] * 4
