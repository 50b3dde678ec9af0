"""Objectives: formulas by hand, and what they do to a model."""

import math

import pytest
import torch
from torch import nn

from xnb import data
from xnb.access.regions import square_grid
from xnb.data import Part
from xnb.data.watermarks import MARK
from xnb.models import picture_classifier, plain_cnn
from xnb.training import loop, objectives

KNOBS = {"epochs": 1, "batch": 32, "progress": False}


@pytest.fixture
def part():
    return data.watermark(1.0, n=(48, 0)).train


class Linear(nn.Module):
    """Logits linear in the pixels: the gradient is the weights, whatever the picture."""

    def __init__(self):
        super().__init__()
        self.weight = nn.Parameter(torch.randn(2, 3 * 32 * 32, generator=torch.Generator().manual_seed(0)) / 50)

    def forward(self, x):
        return x.flatten(1) @ self.weight.T


def test_cross_entropy_is_the_mean_of_minus_log_p(part):
    loss, out = loop.cross_entropy(Linear(), part)
    by_hand = -torch.stack([row.softmax(0)[y].log() for row, y in zip(out, part.y, strict=True)]).mean()
    torch.testing.assert_close(loss, by_hand)


def test_the_penalty_by_hand(part):
    """For linear logits the gradient of the sum of log p is w_0 + w_1 - 2 (p_0 w_0 + p_1 w_1)."""
    model = Linear()
    loss, out = objectives.right_reasons(3.0, 2)(model, part)
    gradient = model.weight.sum(0) - 2 * out.softmax(1) @ model.weight
    penalty = (gradient.view(-1, 3, 32, 32).square() * (part.parts == 2)).sum((1, 2, 3)).mean()
    torch.testing.assert_close(loss, loop.cross_entropy(model, part)[0] + 3 * penalty)
    loss.backward()
    assert model.weight.grad.abs().sum() > 0


def test_the_penalty_reaches_the_weights(part):
    """Trained with it, weights at the mark shrink beside those elsewhere."""
    model = Linear()
    objective, mark = objectives.right_reasons(100.0, 2), (part.parts == 2).any(0).expand(3, -1, -1).flatten()
    before = model.weight.detach().clone()
    optimizer = torch.optim.Adam(model.parameters(), lr=1e-3)
    for _ in range(60):
        optimizer.zero_grad()
        objective(model, part)[0].backward()
        optimizer.step()
    size = [(w[0] - w[1])[mark].norm() / (w[0] - w[1])[~mark].norm() for w in (before, model.weight.detach())]
    assert size[1] < 0.6 * size[0]


def test_data_without_parts_is_refused(part):
    with pytest.raises(ValueError, match="where their parts are"):
        objectives.right_reasons(1.0, 2)(Linear(), Part(part.x, part.y))


def test_the_control_moves_the_mark_and_keeps_its_form(part):
    masks = part.parts == 2
    shifted = objectives.shift_masks(masks)
    assert torch.equal(shifted.sum((1, 2, 3)), masks.sum((1, 2, 3)))
    assert (shifted & masks).float().sum() < 0.5 * masks.float().sum()
    rows, columns = (shifted.any(axis).sum(2).flatten() for axis in (3, 2))
    marked = masks.any(3).any(2).flatten()
    assert set(rows[marked].tolist()) == set(columns[marked].tolist()) == {4}


def test_masking_loses_whole_squares_at_most_the_share_and_in_half_of_the_pictures():
    part = Part(torch.zeros(400, 3, 32, 32), torch.zeros(400, dtype=torch.long))
    inputs = []

    class Spy(nn.Module):
        def forward(self, x):
            inputs.append(x)
            return x.flatten(1)[:, :2]

    with torch.random.fork_rng():
        torch.manual_seed(0)
        objectives.random_masking(4, 0.5, 0.5)(Spy(), part)
    grid = square_grid(32, 32, 4)
    squares = torch.stack([inputs[0][:, :, grid == number].flatten(1).mean(1) for number in range(16)], 1) / 0.5
    assert set(squares.unique().tolist()) == {0, 1}
    lost = squares.mean(1)
    assert float((lost > 0).float().mean()) == pytest.approx(0.45, abs=0.08)
    assert float(lost[lost > 0].mean()) == pytest.approx(0.28, abs=0.05)


def test_normalised_entropy():
    assert objectives.normalised_entropy(torch.full((2, 8), 1 / 8)).tolist() == pytest.approx([1, 1])
    assert objectives.normalised_entropy(torch.eye(4)[:1]).tolist() == [0]
    two = torch.tensor([[0.5, 0.5, 0, 0]])
    assert objectives.normalised_entropy(two).tolist() == pytest.approx([math.log(2) / math.log(4)])


def test_attention_entropy_is_added(part):
    model = picture_classifier(classes=2, width=8, depth=1, reach=0).eval()
    plain_loss, _ = loop.cross_entropy(model, part)
    with objectives.capture_outputs(model, "pool.softmax") as outputs:
        model(part.x)
    entropy = objectives.normalised_entropy(outputs["pool.softmax"]).mean()
    for strength in (2.0, -1.0):
        loss, _ = objectives.attention_entropy(strength)(model, part)
        torch.testing.assert_close(loss, plain_loss + strength * entropy)


@pytest.mark.parametrize(
    "objective",
    [objectives.random_masking(), objectives.right_reasons(1.0, 2), objectives.swapped_parts(2), loop.cross_entropy],
)
def test_training_is_a_function_of_its_seed_and_leaves_the_random_state(objective, part):
    nets = []
    for _ in range(2):
        with torch.random.fork_rng():
            torch.manual_seed(0)
            nets.append(plain_cnn(classes=2))
        before = torch.random.get_rng_state()
        loop.fit(nets[-1], part, part, objective=objective, **KNOBS)
        assert torch.equal(before, torch.random.get_rng_state())
    for a, b in zip(*(net.state_dict().values() for net in nets), strict=True):
        assert torch.equal(a, b)


def test_a_single_removal_takes_one_whole_square_of_half_of_the_pictures():
    ones = torch.ones(400, 3, 24, 24)
    with torch.random.fork_rng():
        torch.manual_seed(0)
        holes = objectives._remove_one_square(ones, 4, 0.5) == 0.5
    sizes = holes[:, 0].sum((1, 2))
    assert set(sizes.tolist()) == {0, 36}
    assert 160 < int((sizes == 36).sum()) < 240
    squares = square_grid(24, 24, 4)
    met = {int(squares[hole[0]].unique()) for hole in holes if hole.any()}
    assert met == set(range(16))


def test_single_removal_is_the_cross_entropy_of_pictures_with_holes(part):
    with torch.random.fork_rng():
        torch.manual_seed(0)
        holes = objectives._remove_one_square(part.x, 4, 0.5)
        torch.manual_seed(0)
        loss, out = objectives.single_removal()(Linear(), part)
    by_hand, out_by_hand = loop.cross_entropy(Linear(), Part(holes, part.y))
    torch.testing.assert_close(loss, by_hand)
    torch.testing.assert_close(out, out_by_hand)


def test_swapped_marks_say_nothing_of_the_class():
    """Where a square bears the mark always and a disk never, swapping leaves it to one half of either."""
    part = data.watermark(1.0, n=(400, 0)).train
    seen = []

    class Spy(nn.Module):
        def forward(self, x):
            seen.append(x)
            return x.flatten(1)[:, :2]

    with torch.random.fork_rng():
        torch.manual_seed(0)
        objectives.swapped_parts(2)(Spy(), part)
    at_mark = torch.from_numpy(MARK).float()
    corners = [
        seen[0][:, 0, rows, columns] for rows in (slice(4), slice(-4, None)) for columns in (slice(4), slice(-4, None))
    ]
    bears = torch.stack([(corner == at_mark).all(2).all(1) for corner in corners]).any(0)
    for label in (0, 1):
        assert bears[part.y == label].float().mean().item() == pytest.approx(0.5, abs=0.1)
    unmarked = ~(part.parts == 2) & (seen[0] == part.x).all(1, keepdim=True)
    assert unmarked.float().mean() > 0.9  # all but the corners stays


def test_swapped_parts_need_parts(part):
    with pytest.raises(ValueError, match="swapped_parts: the data must say where their parts are"):
        objectives.swapped_parts(2)(Linear(), Part(part.x, part.y))
