"""The explorer, moved from code.

Tests: xnb.widgets.explorer, xnb.widgets.explorer_pages
"""

import datetime
import io
import re
from dataclasses import replace

import numpy as np
import pytest
import torch
from networks import with_seed
from PIL import Image
from widget_cases import html_of, images_in, shapes, trained_net

import xnb
from xnb import data
from xnb.models import Net
from xnb.widgets import explore
from xnb.widgets.explore_state import Look, scale_end
from xnb.widgets.explorer_pages import facts_page
from xnb.widgets.map_pictures import draw_map
from xnb.widgets.panel import AUTOMATIC


@pytest.fixture(scope="module")
def explorer():
    return explore(trained_net(), shapes())


@pytest.mark.parametrize(("name", "value"), [("picture", 3), ("rather", 1), ("scale", "clip"), ("opacity", 0.5)])
def test_the_page_shows_the_picture_of_the_pure_function(explorer, name, value):
    before = explorer.picture
    was = explorer.controls[name].value
    explorer.controls[name].value = value
    after = images_in(explorer.areas["view"].value)[1]
    expected = draw_map(explorer.subject, explorer.question, explorer.answer(), explorer.look)
    explorer.controls[name].value = was
    np.testing.assert_array_equal(after, expected)
    np.testing.assert_array_equal(images_in(explorer.areas["view"].value)[1], before)


def test_a_knob_changes_the_picture_and_stays_with_its_method(explorer):
    explorer.controls["method"].value = "occlusion"
    before = explorer.picture
    explorer.knob_controls["occlusion"]["window"].value = 9
    assert not np.array_equal(before, explorer.picture)
    explorer.controls["method"].value = "gradient_times_input"
    assert explorer.controls["knobs"].children == ()
    explorer.controls["method"].value = "occlusion"
    assert explorer.question.knobs[0] == ("window", 9)
    explorer.controls["method"].value = "gradient_times_input"


def test_a_held_scale_stays_when_the_input_changes(explorer):
    largest = scale_end(explorer.answer(), Look())
    explorer.controls["scale"].value = "held"
    explorer.controls["picture"].value = 5
    assert scale_end(explorer.answer(), explorer.look) == largest
    assert f"for {largest:.2g}" in explorer.areas["view"].value
    explorer.controls["scale"].value = "largest"
    explorer.controls["picture"].value = 0


def test_numbers_as_shares(explorer):
    explorer.controls["normalised"].value = True
    assert "for 1 = " in explorer.areas["view"].value
    explorer.controls["normalised"].value = False


def test_methods_that_are_not_for_the_model_are_listed_with_the_reason(explorer):
    offered = {name for _, name in explorer.controls["method"].options}
    assert {"gradient", "lrp", "random"} <= offered
    assert not {"rollout", "chefer"} & offered
    assert "rollout" in explorer.controls["refused"].value
    assert "no attention was seen" in explorer.controls["refused"].value


def test_a_refusal_is_shown_whole_and_goes_away(explorer):
    explorer.controls["target"].value = 2
    explorer.controls["rather"].value = 2
    html = explorer.areas["view"].value
    assert 'role="alert"' in html
    assert re.search(r"contrast: two different classes.*\n  got: \(2, 2\)\n  try: ", html)
    explorer.controls["rather"].value = AUTOMATIC
    assert 'role="alert"' not in explorer.areas["view"].value
    explorer.controls["target"].value = AUTOMATIC


def test_a_promise_that_is_not_kept_is_told_beside_the_map(explorer):
    """One step of integrated gradients misses the change of score; the map says so, with the line that mends it."""
    explorer.controls["method"].value = "integrated_gradients"
    explorer.knob_controls["integrated_gradients"]["steps"].value = 1
    assert "the map does not keep what the method promises" in explorer.areas["view"].value
    assert "tolerance=0.01" in explorer.areas["view"].value
    explorer.knob_controls["integrated_gradients"]["steps"].value = 128
    assert "promises" not in explorer.areas["view"].value
    explorer.controls["method"].value = "gradient_times_input"


def test_the_ledger_is_shown_with_the_layer_that_a_method_took(explorer):
    answer = explorer.answer()
    assert ">layer</th>" not in facts_page(explorer.subject, answer)
    bill = dict(answer.ledger) | {"layer": "stage2.1", "conserved": 0.25, "gap": float("nan")}
    page = facts_page(explorer.subject, replace(answer, ledger=bill))
    assert re.search(r">layer</th><td [^>]*>stage2.1<", page)
    assert re.search(r">share of the score kept</th><td [^>]*>25.0%<", page)
    assert re.search(r">gap of completeness</th><td [^>]*>–<", page)


def test_knobs_have_names(explorer):
    explorer.controls["method"].value = "occlusion"
    assert all(control.description for control in explorer.knob_controls["occlusion"].values())
    explorer.controls["method"].value = "gradient_times_input"


def test_an_uploaded_picture_is_shown_and_a_refusal_once():
    explorer = explore(trained_net(), shapes(), methods=["gradient"], method="gradient", upload=True)
    count = len(shapes().test)
    file = io.BytesIO()
    Image.fromarray(np.full((40, 50, 3), 99, dtype=np.uint8)).save(file, "PNG")
    upload(explorer, file.getvalue())
    assert explorer.controls["picture"].value == count
    assert f"input {count}:" in explorer.areas["view"].value
    upload(explorer, b"no picture")
    assert "must be a whole PNG" in explorer.areas["view"].value
    explorer.refresh()
    assert 'role="alert"' not in explorer.areas["view"].value
    assert len(explorer.subject.x) == count + 1


def upload(explorer, content):
    """What the button does when a file is chosen."""
    file = {"name": "a.png", "type": "image/png", "size": len(content), "content": memoryview(content)}
    explorer.controls["upload"].value = [file | {"last_modified": datetime.datetime(2026, 1, 1)}]


@pytest.fixture(scope="module")
def patients():
    net = with_seed(lambda: Net(30, classes=2))
    return explore(net, data.patients(), method="integrated_gradients")


def test_rows_of_a_table_are_bars(patients):
    before = patients.picture
    assert before.shape[1] == 300  # two beside the controls
    patients.controls["picture"].value = 3
    assert before.shape == patients.picture.shape
    assert (before != patients.picture).any()


def test_a_map_of_a_table_names_features(patients):
    patients.controls["picture"].value = 3
    attribution = patients.answer().attribution[0]
    html = html_of(patients)
    strongest = data.patients().features[int(attribution.argmax())]
    assert f"at {strongest}; least" in html
    assert "xnb.attribute(model, data.test.x[3:4]" in html
    x = data.patients().test.x[3:4]
    target = torch.tensor([patients.answer().target])
    expected = xnb.attribute(patients.subject.model, x, target, "integrated_gradients")
    torch.testing.assert_close(expected[0], attribution)


def test_every_method_and_removal_that_a_table_is_offered_works(patients):
    assert [impute for _, impute in patients.controls["removal"].options] == ["off", "mean", "zero"]
    for name in ("kernel_shap", "lrp", "feature_ablation", "baseline_distance"):
        patients.controls["method"].value = name
        for impute in ("mean", "zero", "off"):
            patients.controls["removal"].value = impute
            assert 'role="alert"' not in html_of(patients)
    patients.controls["method"].value = "integrated_gradients"
