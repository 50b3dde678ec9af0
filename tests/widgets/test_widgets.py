"""Widgets without a browser: pure functions from a state to a picture, and panels moved from code."""

import base64
import io
import re
import threading
import time

import ipywidgets as W
import matplotlib as mpl
import numpy as np
import pytest
import torch
from matplotlib.figure import Figure
from PIL import Image
from torch import nn

import xnb
from xnb import checkpoints, data, plot
from xnb.access import regions
from xnb.models import Net
from xnb.widgets import contrast, explore, markup, pixels, row_bars
from xnb.widgets import knobs as knobs_of
from xnb.widgets.explained import subject
from xnb.widgets.explore_state import Look, Question, answer, code, curves, end, original, picture, words
from xnb.widgets.panel import AUTOMATIC, Panel, chosen


@pytest.fixture(scope="module")
def net():
    return checkpoints.load("smallcnn-shapes")


@pytest.fixture(scope="module")
def split():
    return data.shapes(n=(0, 8), seed=1)


@pytest.fixture(scope="module")
def shown(net, split):
    return subject(net, split)


@pytest.fixture(scope="module")
def explorer(net, split):
    return explore(net, split)


def images(html):
    """Pictures in a page, as arrays."""
    found = re.findall(r'src="data:image/png;base64,([^"]+)"', html)
    return [np.asarray(Image.open(io.BytesIO(base64.b64decode(text)))) for text in found]


def test_signed_colours_are_red_for_blue_against_white_nothing():
    red, white, blue = pixels.signed([1.0, 0.0, -1.0], 1.0).astype(int)
    assert red[0] > red[2] + 50
    assert blue[2] > blue[0] + 50
    assert white.min() > 240
    assert (pixels.signed([5.0], 1.0) == red).all()  # beyond the end nothing changes


def test_pictures_are_enlarged_by_whole_numbers_and_never_smoothed():
    assert pixels.shown_size(32, 32) == (256, 256)
    assert pixels.shown_size(8, 8) == (256, 256)
    assert pixels.shown_size(224, 224) == (224, 224)
    x = torch.rand(3, 4, 4)
    rgb = pixels.stretched(pixels.picture(x), (16, 16))
    np.testing.assert_array_equal(rgb[::4, ::4], pixels.picture(x))
    assert len(np.unique(rgb.reshape(-1, 3), axis=0)) <= 16


def test_a_picture_that_is_none_is_refused():
    with pytest.raises(ValueError, match="1 or 3 channels"):
        pixels.picture(np.zeros((2, 4, 4)))


def test_the_outline_is_the_border_of_the_mask():
    mask = np.zeros((4, 4), dtype=bool)
    mask[1:3, 1:3] = True
    rgb = pixels.outlined(np.zeros((16, 16, 3), dtype=np.uint8), mask)
    line = (rgb == pixels.YELLOW).all(2)
    assert line[3, 4:12].all()
    assert line[4, 4:12].all()
    assert not line[6:10, 6:10].any()
    assert not line[:3].any()
    empty = pixels.outlined(np.zeros((16, 16, 3), dtype=np.uint8), np.zeros((4, 4)))
    assert not empty.any()


def test_opacity_goes_from_the_grey_picture_to_the_map():
    over, under = np.full((2, 2, 3), 10, dtype=np.uint8), np.full((2, 2, 3), 255, dtype=np.uint8)
    assert (pixels.blended(over, under, 1.0) == over).all()
    assert (pixels.blended(over, under, 0.0) == 255).all()


def test_a_montage_keeps_its_tiles():
    tiles = np.arange(3, dtype=np.uint8)[:, None, None, None].repeat(4, 1).repeat(5, 2).repeat(3, 3)
    sheet = pixels.montage(tiles, 2)
    assert sheet.shape == (10, 12, 3)
    assert [sheet[0, 0, 0], sheet[0, 7, 0], sheet[6, 0, 0]] == [0, 1, 2]


def test_a_link_holds_the_picture(shown):
    rgb = original(shown, Question(), Look(outline=False))
    np.testing.assert_array_equal(images(markup.image(rgb, "alt"))[0], rgb)


def test_words_in_a_page_are_escaped():
    for text in (
        markup.message("<b>"),
        markup.bars(["<b>"], [0.5]),
        markup.table("<b>", {"<b>": "<b>"}),
        markup.code("<b>", [])[3:],
    ):
        assert "<b>" not in text
    assert 'alt="&quot;"' in markup.image(np.zeros((1, 1, 3), dtype=np.uint8), '"')


def test_an_answer_is_what_attribute_says(net, split, shown):
    found = answer(shown, Question(picture=3, target=2, method="occlusion", knobs=(("window", 8),)))
    x = split.test.x[3:4]
    torch.testing.assert_close(found.attribution, xnb.attribute(net, x, torch.tensor([2]), "occlusion", window=8))
    np.testing.assert_allclose(found.said, net(x).softmax(1)[0].detach(), rtol=1e-5)
    assert found.ledger["forward"] >= 17
    assert answer(shown, Question(picture=3)).target == found.said.argmax()


def test_a_contrast_is_the_difference_of_two_maps(net, split, shown):
    found = answer(shown, Question(picture=1, target=1, rather=4, method="gradient"))
    x = split.test.x[1:2]
    one, other = (xnb.attribute(net, x, torch.tensor([k]), "gradient") for k in (1, 4))
    torch.testing.assert_close(found.attribution, one - other)


def test_rules_and_layers_work_behind_a_contrast(shown):
    for method, given in (("lrp", ()), ("grad_cam", (("layer", "stage2"),))):
        assert answer(shown, Question(target=0, rather=1, method=method, knobs=given)).attribution.abs().sum() > 0


@pytest.mark.parametrize("pair", [(0, 0), (0, 6), (-1, 2)])
def test_a_contrast_needs_two_classes(net, pair):
    with pytest.raises(ValueError, match="contrast: two different classes"):
        contrast(net, *pair, of=6)


def test_scales(shown):
    found = answer(shown, Question(method="gradient"))
    size = np.abs(found.heat)
    assert end(found, Look()) == size.max()
    assert end(found, Look(scale="clip")) == pytest.approx(np.percentile(size, 99))
    assert end(found, Look(scale="held", end=7.0)) == 7.0
    nothing = answer(shown, Question(method="gradient", knobs=()))
    object.__setattr__(nothing, "attribution", torch.zeros(1, 3, 32, 32))
    assert end(nothing, Look()) == 1.0
    assert (picture(shown, Question(), nothing, Look(outline=False)) > 240).all()


@pytest.mark.usefixtures("as_users_run")
def test_a_coarse_map_is_drawn_in_its_squares(shown):
    coarse = answer(shown, Question(method="grad_cam", knobs=(("resize", False),)))
    rgb = picture(shown, Question(), coarse, Look(outline=False))
    assert rgb.shape == (256, 256, 3)
    assert (rgb[:32, :32] == rgb[0, 0]).all()


QUESTIONS = [
    Question(method="gradient_times_input"),
    Question(picture=2, target=4, method="occlusion", knobs=(("window", 8), ("stride", None), ("baseline", 0.5))),
    Question(target=0, rather=3, method="grad_cam", knobs=(("layer", "stage2"),)),
    Question(method="exact_shapley", knobs=(("regions", 2), ("baseline", 0.5))),
    Question(method="integrated_gradients", knobs=(("steps", 4), ("quadrature", "midpoint"))),
]


@pytest.mark.parametrize("question", QUESTIONS, ids=lambda question: question.method)
def test_the_copied_lines_make_the_same_map(net, split, shown, question):
    look = Look(opacity=0.5)
    found = answer(shown, question)
    fig = Figure()
    ax = fig.subplots()
    held = type("plt", (), {"gca": staticmethod(lambda: ax)})
    names = {"xnb": xnb, "torch": torch, "plot": plot, "regions": regions, "contrast": contrast, "plt": held}
    names |= {"model": net, "data": split}
    exec("\n".join(code(shown, question, found, look)), names)
    torch.testing.assert_close(names["a"], found.attribution)
    assert ax.images[-1].get_clim()[1] == pytest.approx(end(found, look), rel=1e-3)


def test_copied_lines_leave_defaults_out(shown):
    lines = code(shown, QUESTIONS[4], answer(shown, QUESTIONS[4]), Look(normalised=True))
    assert "\"integrated_gradients\", steps=4, quadrature='midpoint')" in lines[0]
    assert lines[1].endswith("limit=1)")


def test_removal_curves_end_together_and_important_pixels_go_first(shown):
    lost = curves(shown, Question(), answer(shown, Question(method="integrated_gradients")))
    most, least = lost.values()
    assert most[0] == pytest.approx(least[0])
    assert most[-1] == pytest.approx(least[-1], abs=1e-5)
    assert most.mean() < least.mean()


def test_words_name_the_strongest_place_and_the_share_in_the_mask(shown):
    found = answer(shown, Question(method="gradient"))
    row, column = np.unravel_index(found.heat.argmax(), found.heat.shape)
    text = words(shown, Question(method="gradient"), found)
    assert f"at row {row + 1}, column {column + 1}; least" in text
    assert re.search(r"\d+% of the magnitude lies in the mask", text)


def test_a_subject_has_a_model_of_its_own(net, split):
    net.train()
    try:
        own = subject(net, split).model
    finally:
        net.eval()
    assert not own.training
    assert not {p.data_ptr() for p in own.parameters()} & {p.data_ptr() for p in net.parameters()}


def test_kinds_of_data(net, split):
    x = split.test.x
    assert subject(net, split.test).written == "data.x"
    assert subject(net, x).classes[0] == "class 0"
    assert subject(net, x, classes=list("abcdef")).classes == tuple("abcdef")
    assert subject(lambda x: x.flatten(1)[:, :3], x).said(0).sum() == pytest.approx(1)
    with pytest.raises(ValueError, match="there must be 6 class names"):
        subject(net, x, classes=["a"])
    with pytest.raises(ValueError, match="there must be inputs to show"):
        subject(net, x[:0])


def test_every_method_that_lint_allows_has_controls_it_can_run_with(shown):
    table = xnb.lint(shown.model, shown.input(0))
    for method in table.index[table["valid"]]:
        made = knobs_of.controls(method, shown)
        assert not {"chunk"} & made.keys()
        question = Question(method=method, knobs=tuple((name, chosen(one)) for name, one in made.items()))
        if made.keys().isdisjoint({"samples", "regions"}):  # the others take longer, and are tried above
            assert answer(shown, question).attribution.isfinite().all(), method
    assert set(knobs_of.controls("occlusion", shown)) == {"window", "stride", "baseline"}
    assert "stage2" in knobs_of.controls("grad_cam", shown)["layer"].options


MOVES = [
    ("picture", 3),
    ("target", 4),
    ("rather", 1),
    ("method", "grad_cam"),
    ("scale", "clip"),
    ("opacity", 0.5),
    ("outline", False),
]


@pytest.mark.parametrize(("name", "value"), MOVES, ids=[name for name, _ in MOVES])
def test_each_control_changes_the_picture_to_that_of_the_pure_function(explorer, name, value):
    before, was = explorer.picture, explorer.controls[name].value
    explorer.controls[name].value = value
    after = images(explorer.pages["view"].value)[1]
    explorer_picture = picture(explorer.subject, explorer.question, explorer.answer(), explorer.look)
    explorer.controls[name].value = was
    assert not np.array_equal(before, after)
    np.testing.assert_array_equal(after, explorer_picture)
    np.testing.assert_array_equal(images(explorer.pages["view"].value)[1], before)


def test_a_knob_changes_the_picture_and_stays_with_its_method(explorer):
    explorer.controls["method"].value = "occlusion"
    before = explorer.picture
    explorer.own["occlusion"]["window"].value = 9
    assert not np.array_equal(before, explorer.picture)
    explorer.controls["method"].value = "gradient_times_input"
    assert explorer.controls["knobs"].children == ()
    explorer.controls["method"].value = "occlusion"
    assert explorer.question.knobs[0] == ("window", 9)
    explorer.controls["method"].value = "gradient_times_input"


def test_a_held_scale_stays_when_the_input_changes(explorer):
    largest = end(explorer.answer(), Look())
    explorer.controls["scale"].value = "held"
    explorer.controls["picture"].value = 5
    assert end(explorer.answer(), explorer.look) == largest
    assert f"for {largest:.2g}" in explorer.pages["view"].value
    explorer.controls["scale"].value, explorer.controls["picture"].value = "largest", 0


def test_numbers_as_shares(explorer):
    explorer.controls["normalised"].value = True
    assert "for 1 = " in explorer.pages["view"].value
    explorer.controls["normalised"].value = False


def test_methods_that_are_not_for_the_model_are_listed_with_the_reason(explorer):
    offered = {name for _, name in explorer.controls["method"].options}
    assert {"gradient", "lrp", "random"} <= offered
    assert not {"rollout", "chefer"} & offered
    assert "rollout" in explorer.controls["refused"].value
    assert "no attention was seen" in explorer.controls["refused"].value


def test_a_refusal_is_shown_whole_and_goes_away(explorer):
    explorer.controls["target"].value, explorer.controls["rather"].value = 2, 2
    shown = explorer.pages["view"].value
    assert 'role="alert"' in shown
    assert re.search(r"contrast: two different classes.*\n  got: \(2, 2\)\n  try: ", shown)
    explorer.controls["rather"].value = AUTOMATIC
    assert 'role="alert"' not in explorer.pages["view"].value
    explorer.controls["target"].value = AUTOMATIC


def test_everything_has_a_name_for_who_cannot_see_it(explorer):
    for area in explorer.pages.values():
        assert all(re.findall(r'<img [^>]*alt="([^"]*)"', area.value))
        assert len(re.findall(r"<svg", area.value)) == len(re.findall(r'<svg role="img" aria-label="[^"]', area.value))
    controls = [*explorer.controls.values(), *explorer.own["gradient_times_input"].values()]
    assert all(c.description for c in controls if c.has_trait("description") and not isinstance(c, W.HTML))


def test_where_nothing_moves_a_picture_stands(explorer):
    bundle = explorer._repr_mimebundle_()
    assert bundle["text/plain"] == "explore: input 0, gradient_times_input. Run the cell to move it."
    assert bundle["application/vnd.jupyter.widget-view+json"]
    shot = np.asarray(Image.open(io.BytesIO(bundle["image/png"])).convert("L"), dtype=float)
    assert shot.shape[1] == 700
    assert shot.std() > 5
    assert explorer._repr_mimebundle_()["image/png"] == bundle["image/png"]


def test_no_figure_of_pyplot_and_no_trace_in_the_model(net, split):
    before = {name: value.clone() for name, value in net.state_dict().items()}
    open_figures = mpl.pyplot.get_fignums()
    shown = explore(net, split.test, method="lrp")
    shown._repr_mimebundle_()
    assert mpl.pyplot.get_fignums() == open_figures
    assert all(p.grad is None and p.requires_grad for p in net.parameters())
    assert all(torch.equal(before[name], value) for name, value in net.state_dict().items())


class Counting(Panel):
    """Draws what its slider says, as slowly as asked."""

    def __init__(self, seconds=0.0):
        self.drawn, self.seconds = [], seconds
        super().__init__({"value": W.IntSlider(0, 0, 100)})

    def draw(self):
        value = self.controls["value"].value
        time.sleep(self.seconds)
        self.drawn.append(value)
        yield "view", str(value)


def test_the_last_state_wins_and_work_out_of_date_is_dropped():
    panel = Counting(0.05)
    threads = [threading.Thread(target=setattr, args=(panel.controls["value"], "value", k)) for k in range(1, 21)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert panel.pages["view"].value == str(panel.controls["value"].value)
    assert len(panel.drawn) < 20


def test_several_changes_are_drawn_once():
    panel = Counting()
    with panel.quietly():
        for k in range(1, 4):
            panel.controls["value"].value = k
    assert panel.drawn == [3]


def test_slow_work_is_marked_and_quick_work_is_not():
    for seconds, marked in ((0.0, False), (0.4, True)):
        panel = Counting(seconds)
        seen = []
        panel.busy.observe(lambda change, seen=seen: seen.append(change.new), "value")
        panel.controls["value"].value = 1
        assert seen == (["working" in text and text for text in seen[:1]] + [""] if marked else [])
        assert bool(seen) == marked


def test_an_error_that_nobody_thought_of_is_shown_too():
    panel = Counting()
    panel.draw = lambda: iter([("view", 1 / 0)])
    with pytest.raises(ZeroDivisionError):
        panel.draw()

    def fails():
        yield "view", "fine"
        yield "view", str(1 / 0)

    panel.draw = fails
    panel.controls["value"].value = 4
    assert "division by zero" in panel.pages["view"].value


def test_a_network_without_layers_that_return_pictures(split):
    model = nn.Sequential(nn.Flatten(), nn.Linear(3072, 6)).eval()
    shown = subject(model, split)
    assert knobs_of.controls("grad_cam", shown)["layer"].options == (AUTOMATIC,)
    assert {"squares", "samples"} <= {one.description for one in knobs_of.controls("rise", shown).values()}
    assert knobs_of.controls("edges", shown) == {}


@pytest.fixture(scope="module")
def patients():
    with torch.random.fork_rng():
        torch.manual_seed(0)
        return explore(Net(30, classes=2).eval(), data.patients(), method="integrated_gradients")


def test_rows_of_a_table_are_bars(patients):
    part, features = data.patients().test, data.patients().features
    before = patients.picture
    assert before.shape[1] == 300  # two beside the controls
    patients.controls["picture"].value = 3
    assert before.shape == patients.picture.shape
    assert (before != patients.picture).any()
    map_ = patients.answer().attribution[0]
    page_ = "".join(area.value for area in patients.pages.values())
    assert f"at {features[int(map_.argmax())]}; least" in page_
    assert "xnb.attribute(model, data.test.x[3:4]" in page_
    mine = xnb.attribute(
        patients.subject.model, part.x[3:4], torch.tensor([patients.answer().target]), "integrated_gradients"
    )
    torch.testing.assert_close(mine[0], map_)


def test_features_without_names_are_counted():
    assert subject(Net(3, classes=2).eval(), torch.rand(2, 3)).features == ("feature 0", "feature 1", "feature 2")


def test_every_method_and_removal_that_a_table_is_offered_works(patients):
    assert [fill for _, fill in patients.controls["removal"].options] == ["off", "mean", "zero"]
    for name in ("kernel_shap", "lrp", "feature_ablation", "input"):
        patients.controls["method"].value = name
        for fill in ("mean", "zero", "off"):
            patients.controls["removal"].value = fill
            assert not any('role="alert"' in area.value for area in patients.pages.values())
    patients.controls["method"].value = "integrated_gradients"


def test_bars_are_red_above_nothing_and_blue_below():
    plot.style()  # as notebooks have it
    rgb = row_bars.drawn([1.0, -1.0, 0.0], ["up", "down", "nothing"], 1.0).astype(int)
    red, blue = (np.argwhere((rgb[..., a] - rgb[..., b]) > 60).mean(0) for a, b in ((0, 2), (2, 0)))
    assert red[0] < blue[0]  # the first feature is on top
    assert red[1] > blue[1]
