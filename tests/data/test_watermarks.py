"""The mark agrees as often as stated, and nothing else tells the class but the form."""

import pytest
import torch
from sklearn.linear_model import LogisticRegression

from xnb import data
from xnb.data.watermarks import MARK

SMALL = {"n": (100, 50)}


def marked(part):
    return (part.parts == 2).any(3).any(2)[:, 0]


@pytest.mark.parametrize("agreement", [1.0, 0.9, 0.5, 0.0])
def test_a_reader_of_the_mark_is_right_as_often_as_it_agrees(agreement):
    part = data.watermark(agreement, n=(1200, 0)).train
    assert float((marked(part).long() == part.y).double().mean()) == pytest.approx(agreement, abs=0.05)
    assert part.y.bincount().tolist() == [600, 600]


def test_agreement_and_mark_change_the_mark_alone():
    """The same objects and backgrounds; always and never are the same pictures with and without."""
    drawn = [data.watermark(a, **SMALL).train for a in (1.0, 0.3)]
    always, never = (data.watermark(1.0, **SMALL, mark=mark).train for mark in ("always", "never"))
    assert marked(always).all()
    assert not marked(never).any()
    for part in [*drawn, always]:
        outside = (part.parts != 2).expand_as(part.x)
        assert torch.equal(part.x[outside], never.x[outside])
        assert torch.equal(part.y, never.y)
        assert torch.equal(part.x[marked(part)], always.x[marked(part)])
        assert torch.equal(part.masks, never.masks & (part.parts != 2))


def test_the_mark_is_the_checkerboard_and_its_corner_tells_nothing():
    part = data.watermark(n=(1200, 0), mark="always").train
    where = (part.parts == 2).expand_as(part.x)
    assert set(where.sum((1, 2, 3)).tolist()) == {48}
    boards = part.x[where].view(-1, 3, 4, 4)
    assert (boards == torch.from_numpy(MARK).float()).all()
    top, left = (part.parts == 2)[:, 0, 0, :].any(1), (part.parts == 2)[:, 0, :, 0].any(1)
    corner = 2 * top.long() + left.long()
    assert (corner.bincount(minlength=4) > 240).all()
    share = torch.stack([(part.y[corner == c]).double().mean() for c in range(4)])
    assert (share - 0.5).abs().max() < 0.12  # four standard errors


def test_without_objects_only_the_mark_is_there():
    split = data.watermark(1.0, **SMALL, objects=False)
    assert set(split.train.parts.unique().tolist()) == {0, 2}
    assert not split.train.masks.any()


def test_nothing_tells_the_class_but_form_and_mark():
    """Mean colours and place of the object, standard error 1.6 points."""
    split = data.watermark(n=(1000, 1000), mark="never")

    def facts(part):
        inside = part.masks
        rows, columns = torch.meshgrid(torch.arange(32.0), torch.arange(32.0), indexing="ij")
        place = [(inside[:, 0] * axis).sum((1, 2)) / inside.sum((1, 2, 3)) for axis in (rows, columns)]
        colours = [(part.x * m).sum((2, 3)) / m.sum((2, 3)) for m in (inside, ~inside)]
        return torch.cat([*colours, torch.stack(place, 1), inside.sum((1, 2, 3))[:, None]], 1).numpy()

    model = LogisticRegression(max_iter=5000).fit(facts(split.train), split.train.y)
    assert abs(model.score(facts(split.test), split.test.y) - 0.5) < 0.06


@pytest.mark.parametrize(
    ("knobs", "says"),
    [
        ({"agreement": 1.5}, "agreement is a probability"),
        ({"mark": "sometimes"}, "must be a known choice"),
        ({"size": 8}, "at least 16"),
        ({"n": (-1, 2)}, "numbers of pictures"),
    ],
)
@pytest.mark.usefixtures("as_users_run")
def test_refusals(knobs, says):
    with pytest.raises(ValueError, match=says):
        data.watermark(**knobs)
