"""Edited shapes: what is asked for changes, and not one other pixel.

Tests: xnb.data.shape_pictures, xnb.data.drawing
"""

import pytest
import torch

from xnb import data
from xnb.data.shape_pictures import SHAPE_CLASSES, ShapeEdit

SMALL = {"n": (12, 24), "seed": 3}


def draw(**edit):
    return data.shapes(**SMALL, edit=ShapeEdit(**edit)).test


@pytest.fixture(scope="module")
def plain():
    return data.shapes(**SMALL).test


def test_no_edit_is_no_change(plain):
    assert torch.equal(draw().x, plain.x)
    assert torch.equal(draw().masks, plain.masks)


def test_the_form_that_is_there_is_no_change(plain):
    for label, form in enumerate(SHAPE_CLASSES):
        assert torch.equal(draw(form=form).x[plain.y == label], plain.x[plain.y == label])


@pytest.mark.parametrize("form", SHAPE_CLASSES)
def test_another_form_changes_pixels_of_the_two_forms_alone(form, plain):
    other = draw(form=form)
    differs = (other.x != plain.x).any(1, keepdim=True)
    assert (differs <= (other.masks ^ plain.masks)).all()
    assert (other.y == SHAPE_CLASSES.index(form)).all()
    area, before = other.masks.sum((1, 2, 3)).double(), plain.masks.sum((1, 2, 3)).double()
    torch.testing.assert_close(area, before, rtol=0.25, atol=4)


def test_another_form_has_the_colour_and_the_place(plain):
    other = draw(form="disk")
    for b in range(len(plain.x)):
        old, new = (part.x[b][:, part.masks[b, 0]].mean(1) for part in (plain, other))
        torch.testing.assert_close(old, new, rtol=0, atol=0.05)
        centres = [part.masks[b, 0].nonzero().double().mean(0) for part in (plain, other)]
        assert (centres[0] - centres[1]).abs().max() < 2.5  # a long bar lies nearer to the border than a disk may


def test_another_colour_changes_the_object_alone(plain):
    red = draw(colour=(1.0, 0.0, 0.0))
    assert torch.equal(red.masks, plain.masks)
    outside = ~plain.masks.expand_as(plain.x)
    assert torch.equal(red.x[outside], plain.x[outside])
    inside = red.x.movedim(1, -1)[red.masks[:, 0]]
    torch.testing.assert_close(inside.mean(0), torch.tensor([1.0, 0.0, 0.0]), rtol=0, atol=0.03)


def test_a_shift_moves_the_object_as_far_as_it_fits(plain):
    moved = draw(shift=(0.0, 3.0))
    for b in range(len(plain.x)):
        old, new = (part.masks[b, 0].nonzero().double().mean(0) for part in (plain, moved))
        assert abs(float(new[0] - old[0])) < 0.2
        assert -0.2 < float(new[1] - old[1]) < 3.2
    far = draw(shift=(100.0, 100.0))
    assert torch.isfinite(far.x).all()
    assert far.masks.any((1, 2, 3)).all()


def test_options_and_edits_go_together(plain):
    both = data.shapes(**SMALL, distractors=3, watermark=0.9, edit=ShapeEdit(form="ring")).test
    without = data.shapes(**SMALL, distractors=3, watermark=0.9).test
    differs = (both.x != without.x).any(1, keepdim=True)
    assert (differs <= (both.masks ^ without.masks)).all()


def test_what_is_refused(as_users_run):
    with pytest.raises(ValueError, match="form must be a class of shapes"):
        ShapeEdit(form="star")
    with pytest.raises(ValueError, match="colour is three numbers"):
        ShapeEdit(colour=(2.0, 0.0, 0.0))
    with pytest.raises(ValueError, match="colour is three numbers"):
        ShapeEdit(colour=(1.0, 0.0))
