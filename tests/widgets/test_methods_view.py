"""Several methods side by side: scales, pins, tiles."""

import numpy as np
import pytest
from widget_cases import PANELS

from xnb.widgets.methods_view import OWN_SCALE, RAW_SCALE, SHARE_SCALE, scale_ends


@pytest.fixture(scope="module")
def panel():
    return PANELS["side_by_side"]()


def test_shares_make_a_map_in_another_unit_look_the_same():
    heat = np.random.default_rng(0).normal(size=(8, 8))
    maps = {"a": heat, "b": 1000 * heat}
    shares, own, raw = (scale_ends(maps, scale) for scale in (SHARE_SCALE, OWN_SCALE, RAW_SCALE))
    assert shares["b"] == pytest.approx(1000 * shares["a"])
    assert own["a"] == np.abs(heat).max()
    assert raw["a"] == raw["b"] == pytest.approx(1000 * own["a"])
    assert scale_ends({"a": np.zeros((2, 2))}, SHARE_SCALE)["a"] > 0


def test_methods_stand_beside_controls_and_pins_stay(panel):
    assert panel.methods == ["gradient", "grad_cam", "edges", "random"]
    panel.pin("grad_cam")
    pinned = panel.areas["pinned"].value
    panel.controls["picture"].value = 2
    assert panel.areas["pinned"].value == pinned
    assert "input 0" in pinned
    assert "input 2" in panel.areas["grad_cam"].value
    panel.controls["picture"].value = 0
    panel.pin("grad_cam")
    assert "<img" not in panel.areas["pinned"].value


def test_methods_are_added_and_dropped(panel):
    panel.controls["add"].value = "lrp"
    assert panel.methods[-1] == "lrp"
    assert len(panel.tiles.children) == 5
    assert "lrp" in panel.areas["lrp"].value
    panel.controls["add"].value = "gradient"  # is there already
    assert len(panel.tiles.children) == 5
    drop = panel.tiles.children[-1].children[1].children[1]
    drop.click()
    assert "lrp" not in panel.methods
    for name in [*panel.methods]:
        panel.drop(name)
    assert panel.tiles.children == ()
    assert 'role="alert"' not in panel.areas["view"].value
