"""Neither the object nor the texture tells the other, and colours tell neither."""

import pytest
import torch
from sklearn.ensemble import HistGradientBoostingClassifier

from xnb import data
from xnb.data.textures import OBJECT_AREA, OBJECTS, TEXTURES

SMALL = {"n": (72, 36)}


def test_the_same_pictures_under_two_label_sets():
    objects, textures = (data.objects_on_textures(label, **SMALL) for label in ("object", "texture"))
    for a, b in ((objects.train, textures.train), (objects.test, textures.test)):
        assert torch.equal(a.x, b.x)
        assert torch.equal(a.masks, ~b.masks)
        assert (a.x.min() >= 0) & (a.x.max() <= 1)
    assert objects.classes == OBJECTS
    assert textures.classes == tuple(TEXTURES)


def test_all_pairs_are_equally_frequent():
    objects, textures = (data.objects_on_textures(label, n=(144, 0)).train.y for label in ("object", "texture"))
    assert (6 * objects + textures).bincount(minlength=36).tolist() == [4] * 36


def test_objects_and_textures_change_apart():
    plain = data.objects_on_textures(**SMALL).train
    empty = data.objects_on_textures(**SMALL, objects=False).train
    elsewhere = data.objects_on_textures(**SMALL, texture=7).train
    inside = plain.masks.expand_as(plain.x)
    assert torch.equal(plain.x[~inside], empty.x[~inside])
    assert not empty.masks.any()
    assert torch.equal(plain.x[inside], elsewhere.x[inside])
    assert torch.equal(plain.masks, elsewhere.masks)
    assert (plain.x[~inside] != elsewhere.x[~inside]).float().mean() > 0.95


def test_area_is_the_same_for_all_objects():
    part = data.objects_on_textures(n=(600, 0)).train
    share = part.masks.float().mean((1, 2, 3))
    assert share.min() > OBJECT_AREA[0] * 0.8
    assert share.max() < OBJECT_AREA[1] * 1.2
    means = torch.stack([share[part.y == k].mean() for k in range(6)])
    assert means.max() - means.min() < 0.02


@pytest.mark.parametrize("label", ["object", "texture"])
def test_colour_tells_neither(label):
    """Boosted trees on the mean colours of object and background: chance is 16.7 %, standard error 1.2 points."""
    split = data.objects_on_textures(label, n=(1500, 1000))

    def colours(part):
        inside = part.masks if label == "object" else ~part.masks
        means = [(part.x * m).sum((2, 3)) / m.sum((2, 3)) for m in (inside, ~inside)]
        return torch.cat(means, 1).numpy()

    model = HistGradientBoostingClassifier(max_iter=40, max_depth=3, random_state=0)
    model.fit(colours(split.train), split.train.y.numpy())
    assert model.score(colours(split.test), split.test.y.numpy()) < 1 / 6 + 0.05


def test_one_label_set_tells_nothing_of_the_other():
    objects, textures = (data.objects_on_textures(label, n=(720, 0)).train for label in ("object", "texture"))
    table = torch.zeros(6, 6).index_put_((objects.y, textures.y), torch.ones(720), accumulate=True)
    assert (table == 20).all()


@pytest.mark.parametrize(
    ("knobs", "says"),
    [({"label": "scene"}, "object or texture"), ({"size": 8}, "at least 16"), ({"n": (-1, 2)}, "numbers of pictures")],
)
@pytest.mark.usefixtures("as_users_run")
def test_refusals(knobs, says):
    with pytest.raises(ValueError, match=says):
        data.objects_on_textures(**knobs)
