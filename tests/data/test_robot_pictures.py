"""Variants are read off the pixels, and interventions change what they name alone."""

from itertools import combinations

import numpy as np
import pytest
import torch
from sklearn.linear_model import LogisticRegression

from xnb import data
from xnb.data.robot_pictures import CODE, ROBOT_CLASSES, ROBOT_PARTS

SMALL = {"n": (90, 45)}
every_part = pytest.mark.parametrize("name", ROBOT_PARTS)


def drawings(name):
    kind = ROBOT_PARTS[name]
    return {variant: np.array([list(line) for line in lines]) == "#" for variant, lines in kind.variants.items()}


def boxed(drawing):
    """What lies within the smallest box around it, as bytes with the box's height and width."""
    rows, columns = (np.flatnonzero(drawing.any(axis)) for axis in (1, 0))
    box = drawing[rows[0] : rows[-1] + 1, columns[0] : columns[-1] + 1]
    return box.shape, box.tobytes()


def shown(part, name):
    """Variant of a part in each picture, read off its pixels."""
    number, known = list(ROBOT_PARTS).index(name) + 1, {boxed(d): variant for variant, d in drawings(name).items()}
    return [known[boxed(where)] for where in part.parts[:, 0].numpy() == number]


def test_the_code():
    """Any two classes share exactly one part; each variant leaves three classes, any two parts one."""
    assert len({tuple(word) for word in CODE}) == 9
    assert {int((a == b).sum()) for a, b in combinations(CODE, 2)} == {1}
    for p in range(4):
        assert np.bincount(CODE[:, p]).tolist() == [3, 3, 3]
    for p, q in combinations(range(4), 2):
        assert len({(word[p], word[q]) for word in CODE}) == 9


@every_part
def test_variants_are_told_by_form_and_not_by_area(name):
    areas = {drawing.sum() for drawing in drawings(name).values()}
    shapes = {drawing.shape for drawing in drawings(name).values()}
    assert (len(areas), len(shapes), len(drawings(name))) == (1, 1, 3)


def test_pictures_parts_and_labels_fit_together():
    split = data.robots(**SMALL)
    part = split.train
    assert split.classes == ROBOT_CLASSES
    assert part.x.shape == (90, 3, 32, 32)
    assert (part.x.min() >= 0) & (part.x.max() <= 1)
    assert part.y.bincount().tolist() == [10] * 9
    assert torch.equal(part.masks, part.parts > 0)
    words = list(zip(*(shown(part, name) for name in ROBOT_PARTS), strict=True))
    assert [" ".join(word) for word in words] == [ROBOT_CLASSES[y] for y in part.y]
    assert part.evidence.shape == (90, 4, 9)
    assert (part.evidence.gather(2, part.y[:, None, None].expand(-1, 4, 1)) == 1).all()
    assert (part.evidence.sum(2) == 3 - 6).all()


@every_part
def test_removing_a_part_changes_its_pixels_alone(name):
    before, after = data.robots(**SMALL).train, data.robots(**SMALL, remove=[name]).train
    number = list(ROBOT_PARTS).index(name) + 1
    inside = (before.parts == number).expand_as(before.x)
    assert torch.equal(before.x[~inside], after.x[~inside])
    assert (before.x[inside] != after.x[inside]).float().mean() > 0.99
    assert not (after.parts == number).any()
    assert torch.equal(after.evidence[:, number - 1], torch.zeros(90, 9, dtype=torch.int64))
    assert torch.equal(before.y, after.y)


@every_part
def test_exchanging_a_part_shows_another_variant_and_the_class_still_leads(name):
    before, after = data.robots(**SMALL).train, data.robots(**SMALL, exchange=[name]).train
    number = list(ROBOT_PARTS).index(name) + 1
    assert all(a != b for a, b in zip(shown(before, name), shown(after, name), strict=True))
    assert len(set(shown(after, name))) == 3
    for other in set(ROBOT_PARTS) - {name}:
        assert shown(before, other) == shown(after, other)
    touched = ((before.parts == number) | (after.parts == number)).expand_as(before.x)
    assert torch.equal(before.x[~touched], after.x[~touched])
    assert torch.equal((after.evidence.sum(1)).argmax(1), before.y)
    assert (after.evidence.gather(2, before.y[:, None, None].expand(-1, 4, 1))[:, number - 1] == -1).all()


def test_new_backgrounds_leave_the_robot():
    before, after = data.robots(**SMALL).train, data.robots(**SMALL, background=5).train
    inside = before.masks.expand_as(before.x)
    assert torch.equal(before.x[inside], after.x[inside])
    assert (before.x != after.x).float().mean() > 0.8


def test_place_and_colour_tell_nothing():
    """Mean colours of the parts and where the robot stands: chance is 11 %, standard error 1.1 points."""
    split = data.robots(n=(1800, 900))

    def facts(part):
        colours = [(part.x * (part.parts == p)).sum((2, 3)) / (part.parts == p).sum((2, 3)) for p in range(1, 5)]
        body = part.masks[:, 0].float()
        rows, columns = (
            body.amax(2).argmax(1, keepdim=True),
            (part.parts == 3)[:, 0].float().amax(1).argmax(1, keepdim=True),
        )
        return torch.cat([*colours, rows, columns], 1).numpy()

    model = LogisticRegression(max_iter=5000).fit(facts(split.train), split.train.y)
    assert model.score(facts(split.test), split.test.y) < 1 / 9 + 0.05


def test_refusals():
    with pytest.raises(ValueError, match=r"must name parts\n  got: \['tail'\]"):
        data.robots(remove=["tail"])
    with pytest.raises(ValueError, match="numbers of pictures"):
        data.robots(n=(-1, 0))
