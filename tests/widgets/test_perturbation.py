"""Hidden pixels, and the picture that can be clicked.

Tests: xnb.widgets.perturbation, xnb.widgets.clickable
"""

import numpy as np
import pytest
import torch
from widget_cases import PANELS, shapes, trained_net

from xnb.widgets.explained import prepare_subject
from xnb.widgets.perturbation import (
    PAINT,
    HiddenArea,
    first_corner,
    hidden_mask,
    probabilities_before_after,
    replace_hidden,
)


@pytest.fixture(scope="module")
def subject():
    return prepare_subject(trained_net(), shapes())


@pytest.fixture(scope="module")
def panel():
    return PANELS["perturb"]()


def test_what_is_hidden_is_replaced_and_nothing_else(subject):
    area = HiddenArea(picture=1, row=4, column=30, size=8, fill="zero", painted=frozenset({(7, 0)}))
    mask = hidden_mask(subject, area)
    assert mask.sum() == 8 * 2 + 4 * 4  # the patch is cut off at the border
    assert mask[4:12, 30:].all()
    assert mask[28:, :4].all()
    x = replace_hidden(subject, area)
    assert (x[0, :, mask] == 0).all()
    torch.testing.assert_close(x[0, :, ~mask], subject.x[1][:, ~mask])


def test_probabilities_are_those_of_the_changed_input(subject):
    area = HiddenArea(picture=1, row=4, column=30, size=8, fill="zero", painted=frozenset({(7, 0)}))
    probabilities = probabilities_before_after(subject, area)
    expected = trained_net()(replace_hidden(subject, area)).softmax(1)[0].detach()
    np.testing.assert_allclose(probabilities.after, expected, rtol=1e-4)
    assert probabilities.before.sum() == pytest.approx(1)
    nothing_hidden = probabilities_before_after(subject, HiddenArea(size=0))
    np.testing.assert_allclose(nothing_hidden.after, nothing_hidden.before, atol=1e-6)


def test_the_patch_begins_on_the_evidence(subject):
    row, column = first_corner(subject, 2, 8)
    assert subject.masks[2, 0, row : row + 8, column : column + 8].float().mean() > 0.5
    assert first_corner(prepare_subject(trained_net(), shapes().test.x), 2, 8) == (11, 11)


def test_a_click_moves_the_patch_or_paints(panel):
    panel.clickable.squares[0].click()
    assert (panel.hidden_area.row, panel.hidden_area.column) == (0, 0)
    panel.controls["mode"].value = PAINT
    panel.clickable.squares[9].click()
    assert panel.hidden_area.painted == {(1, 1)}
    panel.clickable.squares[9].click()
    panel.clickable.squares[10].click()
    assert panel.hidden_area.painted == {(1, 2)}
    panel.controls["clear"].click()
    assert panel.hidden_area.painted == frozenset()
    panel.controls["mode"].value = "moves the patch"
