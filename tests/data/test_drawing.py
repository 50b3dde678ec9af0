"""Forms have the area and the reach that is stated of them; colours stand out from every background."""

import numpy as np
import pytest
from numpy.random import default_rng

from xnb.data.drawing import FORMS, draw_clouds, draw_colour, draw_form

SIDE = 400
every_form = pytest.mark.parametrize("name", FORMS)


@every_form
def test_area_and_reach_are_those_of_the_table(name):
    """Counted on a fine grid over a square that holds every form."""
    form = FORMS[name]
    axis = np.linspace(-2, 2, 1601)
    u, v = np.meshgrid(axis, axis)
    covered = form.covers(u, v)
    assert covered.mean() * 16 == pytest.approx(form.area, rel=0.01)
    assert np.hypot(u, v)[covered].max() <= form.reach + 0.01


@every_form
@pytest.mark.parametrize("seed", range(5))
def test_a_form_has_its_area_and_lies_wholly_in_the_picture(name, seed):
    area = default_rng(seed).uniform(0.05, 0.15) * SIDE**2
    drawn = draw_form(name, area, default_rng(seed), SIDE)
    assert drawn.shape == (SIDE, SIDE)
    assert drawn.sum() == pytest.approx(area, rel=0.02)
    drawn[1:-1, 1:-1] = False
    assert not drawn.any()


def test_colours_stand_out_from_every_background():
    for seed in range(20):
        clouds = draw_clouds(default_rng(seed), 16)
        assert (clouds >= 0.25).all() & (clouds <= 0.75).all()
        colour = draw_colour(default_rng(seed))
        assert ((colour <= 0.15) | (colour >= 0.85)).all()
