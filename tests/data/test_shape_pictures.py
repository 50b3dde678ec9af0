"""Pictures of one object: what its options change, and that its mask is what a network needs."""

import pytest
import torch
from sklearn.linear_model import LogisticRegression

from xnb import checkpoints, data
from xnb.data.shape_pictures import MARK_COLOURS, SHAPE_AREA, SHAPE_CLASSES, widen_masks
from xnb.training.loop import evaluate

SMALL = {"n": (60, 30)}


def test_pictures_masks_and_labels_fit_together():
    split = data.shapes(**SMALL)
    part = split.train
    assert part.x.shape == (60, 3, 32, 32)
    assert part.masks.shape == (60, 1, 32, 32)
    assert part.x.dtype == torch.float32
    assert (part.x.min(), part.x.max()) >= (0, 0)
    assert part.x.max() <= 1
    assert part.y.bincount().tolist() == [10] * 6
    assert split.classes == SHAPE_CLASSES


def test_area_is_the_same_for_all_forms():
    """Counted in pixels, the area lies in the range that is drawn from, up to the rounding at the border."""
    part = data.shapes(n=(1200, 0)).train
    share = part.masks.float().mean((1, 2, 3))
    assert share.min() > SHAPE_AREA[0] * 0.8
    assert share.max() < SHAPE_AREA[1] * 1.2
    means = torch.stack([share[part.y == k].mean() for k in range(6)])
    assert means.max() - means.min() < 0.01


def test_new_backgrounds_leave_the_object_pixel_by_pixel():
    a, b = data.shapes(**SMALL).train, data.shapes(**SMALL, background=9).train
    inside = a.masks.expand_as(a.x)
    assert torch.equal(a.masks, b.masks)
    assert torch.equal(a.x[inside], b.x[inside])
    assert (a.x[~inside] != b.x[~inside]).float().mean() > 0.99


def test_options_leave_the_labelled_object_alone():
    plain, full = data.shapes(**SMALL).train, data.shapes(**SMALL, distractors=4, second=True).train
    assert (plain.x != full.x).any()
    assert full.masks.any((1, 2, 3)).all()


@pytest.mark.parametrize("rate", [1.0, 0.0, 0.7])
def test_watermark_agrees_as_often_as_said(rate):
    part = data.shapes(n=(1200, 0), watermark=rate).train
    marks = part.x[:, :, -1, -1]
    told = torch.cdist(marks.double(), torch.tensor(MARK_COLOURS)).argmin(1)
    assert float((told == part.y).double().mean()) == pytest.approx(rate, abs=0.05)
    assert (told.bincount(minlength=6) > 120).all()  # the mark itself is balanced: it only may or may not agree


def test_masks_are_ground_truth():
    """Thresholds: at least 90 % right, new backgrounds cost at most 2 points, without the object at most 22 %.

    Chance is 16.7 % with a standard error of 1.5 points on 600 pictures; 22 % is 3.5 of them above. Seed 5 is not
    the one the network was trained on.
    """
    net = checkpoints.load("smallcnn-shapes")
    knobs = {"n": (0, 600), "seed": 5}
    accuracy = evaluate(net, data.shapes(**knobs).test)[1]
    elsewhere = evaluate(net, data.shapes(**knobs, background=77).test)[1]
    deleted = evaluate(net, data.shapes(**knobs, objects=False).test)[1]
    assert accuracy >= 0.90
    assert elsewhere >= accuracy - 0.02
    assert deleted <= 0.22


def test_mean_colour_and_brightness_do_not_tell_the_class():
    """A linear model on colour means, deviations and histograms stays within 6 points of chance."""
    split = data.shapes(n=(1800, 900))

    def statistics(part):
        histogram = torch.stack([(part.x.flatten(2) < t).float().mean(2) for t in (0.2, 0.4, 0.6, 0.8)], 2)
        return torch.cat([part.x.mean((2, 3)), part.x.std((2, 3)), histogram.flatten(1)], 1).numpy()

    model = LogisticRegression(max_iter=2000).fit(statistics(split.train), split.train.y.numpy())
    assert model.score(statistics(split.test), split.test.y.numpy()) < 1 / 6 + 0.06


@pytest.mark.parametrize(
    ("knobs", "says"), [({"size": 8}, "at least 16"), ({"watermark": 1.5}, "probability"), ({"n": (-1, 2)}, "numbers")]
)
def test_refusals(knobs, says):
    with pytest.raises(ValueError, match=says):
        data.shapes(**knobs)


class TestWidenMasks:
    def test_square_grows_by_its_band(self):
        """Closed form: 4 x 6 pixels with a band of 2 are 8 x 10."""
        masks = torch.zeros(2, 1, 16, 16, dtype=torch.bool)
        masks[0, 0, 4:8, 5:11] = True
        wide = widen_masks(masks)
        assert wide[0, 0, 2:10, 3:13].all()
        assert wide.sum() == 80

    def test_hole_of_a_ring_is_filled(self):
        masks = torch.zeros(1, 1, 9, 9, dtype=torch.bool)
        masks[0, 0, 2:7, 2:7] = True
        masks[0, 0, 4, 4] = False
        assert widen_masks(masks, 0)[0, 0, 4, 4]
        assert widen_masks(masks, 0).sum() == 25
        assert masks.sum() == 24

    def test_negative_width_is_refused(self):
        with pytest.raises(ValueError, match="width is a number of pixels\n  got: -1\n  try: width=2"):
            widen_masks(torch.zeros(1, 1, 4, 4, dtype=torch.bool), -1)


def test_a_ring_whose_hole_is_filled_is_a_disk():
    """What lies outside the mask is evidence too: the stored network says ring for 100 %, then disk for 100 %."""
    net = checkpoints.load("smallcnn-shapes")
    part = data.shapes(n=(0, 60), seed=1).test
    rings = part[part.y == SHAPE_CLASSES.index("ring")]
    holes = widen_masks(rings.masks, 0) & ~rings.masks
    tints = (rings.x * rings.masks).sum((2, 3), keepdim=True) / rings.masks.sum((2, 3), keepdim=True)
    with torch.no_grad():
        before, after = net(rings.x).softmax(1), net(torch.where(holes, tints, rings.x)).softmax(1)
    assert before[:, SHAPE_CLASSES.index("ring")].min() > 0.99
    assert after[:, SHAPE_CLASSES.index("disk")].min() > 0.99


def test_blurred_backgrounds_change_nothing_else():
    plain, blurred = (data.shapes(24, (12, 0), blurred=names).train for names in ((), ("disk", "square")))
    changed = (plain.x != blurred.x).flatten(1).any(1)
    assert torch.equal(changed, plain.y < 2)
    inside = plain.masks.expand_as(plain.x)
    assert torch.equal(plain.x[inside], blurred.x[inside])
    assert torch.equal(plain.masks, blurred.masks)


def test_a_blur_leaves_colours_and_takes_the_grain():
    names = data.shapes(n=(0, 0)).classes
    plain, blurred = (data.shapes(24, (24, 0), objects=False, blurred=chosen).train.x for chosen in ((), names))
    torch.testing.assert_close(blurred.mean((2, 3)), plain.mean((2, 3)), atol=1e-3, rtol=0)
    grain = [(x[..., 1:] - x[..., :-1]).abs().mean((1, 2, 3)) for x in (blurred, plain)]
    assert (grain[0] < grain[1]).all()


def test_unknown_classes_are_refused():
    with pytest.raises(ValueError, match="names of classes"):
        data.shapes(n=(1, 1), blurred=("zebra",))
