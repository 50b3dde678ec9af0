"""Every widget in a real JupyterLab, moved as a person moves it, by mouse and by keyboard."""

import re
from pathlib import Path

import numpy as np
import pytest
from driver import until
from widget_lines import WIDGETS

SHOTS = Path(__file__).parents[2] / "build" / "screenshots"  # kept, for people to look at


def test_they_render_without_an_error(book, widget):
    for name in WIDGETS:
        widget(name).root.locator("img").first.wait_for()
    assert book.stderr() == []
    assert book.tracebacks() == []
    assert book.errors == []


MOVES = [
    ("explore", "picture", "press", ("ArrowRight", 2)),
    ("explore", "picture", "drag", (0.8,)),
    ("explore", "class", "choose", ("ring",)),
    ("explore", "class", "step", ()),
    ("explore", "rather than", "choose", ("square",)),
    ("explore", "method", "choose", ("occlusion",)),
    ("explore", "window", "press", ("ArrowRight", 3)),
    ("explore", "window", "drag", (0.1,)),
    ("explore", "baseline", "drag", (0.5,)),
    ("explore", "method", "step", ()),
    ("explore", "method", "choose", ("gradient",)),
    ("explore", "colours", "choose", ("clipped: 99 % of the values",)),
    ("explore", "opacity", "press", ("ArrowLeft", 4)),
    ("explore", "opacity", "drag", (0.3,)),
    ("explore", "outline of the mask", "click", ()),
    ("explore", "outline of the mask", "press", ("Space",)),
    ("side_by_side", "picture", "press", ("ArrowRight",)),
    ("side_by_side", "picture", "drag", (0.5,)),
    ("side_by_side", "class", "choose", ("cross",)),
    ("side_by_side", "colours", "step", ()),
    ("attention", "picture", "press", ("ArrowRight",)),
    ("attention", "layer", "choose", ("1: blocks.0.attention.attend",)),
    ("attention", "layer", "step", ()),
    ("attention", "head", "step", ()),
    ("attention", "query", "press", ("ArrowRight", 5)),
    ("attention", "query", "drag", (0.6,)),
    ("attention", "depth", "drag", (0.5,)),
    ("bags", "bag", "press", ("ArrowRight",)),
    ("bags", "bag", "drag", (0.9,)),
    ("bags", "class", "step", ()),
    ("bags", "method", "choose", ("raw_attention",)),
    ("bags", "order", "step", ()),
    ("layers", "picture", "press", ("ArrowRight",)),
    ("layers", "row", "press", ("ArrowRight", 4)),
    ("layers", "row", "drag", (0.7,)),
    ("layers", "layer", "choose", ("stage2.0.0 · Conv2d · 4,608",)),
    ("perturb", "picture", "press", ("ArrowRight",)),
    ("perturb", "row", "press", ("ArrowLeft", 3)),
    ("perturb", "row", "drag", (0.2,)),
    ("perturb", "column", "drag", (0.2,)),
    ("perturb", "size", "press", ("ArrowRight", 2)),
    ("perturb", "hidden by", "choose", ("black",)),
    ("rows", "srg", "choose", ("occlusion · 1.00",)),
    ("judge", "bar", "drag", (0.8,)),
    ("judge", "trainings", "press", ("ArrowLeft", 3)),
    ("judge", "statement", "choose", ("lower",)),
    ("photographs", "picture", "press", ("ArrowRight", 2)),
    ("photographs", "method", "choose", ("gradient",)),
    ("photographs", "opacity", "press", ("ArrowLeft", 4)),
    ("records", "record", "press", ("ArrowRight", 2)),
    ("records", "method", "choose", ("gradient times input",)),
]


@pytest.mark.parametrize(("name", "control", "how", "given"), MOVES)
def test_a_move_changes_the_picture_to_that_of_the_pure_function(widget, twins, name, control, how, given):
    shown = widget(name)
    before = shown.picture()
    getattr(shown, how)(control, *given)
    assert until(lambda: differ(shown.picture(), before)), "the picture stayed as it was"
    assert until(lambda: near(shown.picture(), says(twins[name], shown, name)))


def says(twin, shown, name):
    """What the pure functions say of the state in which the page is."""
    for control in settings(twin):
        control.set_trait(*shown.value(control.description, control))
    return twin.picture(twin.methods[0]) if name == "side_by_side" else twin.picture


def settings(twin):
    """Controls of the twin that the page has too, those of the method last, as choosing it makes them."""
    yield from (one for one in twin.controls.values() if one.has_trait("value") and one.description)
    if hasattr(twin, "knob_controls"):
        yield from twin.knob_controls[twin.controls["method"].value].values()


def differ(a, b):
    return a.shape != b.shape or not np.array_equal(a, b)


def near(a, b):
    """Equal but for the rounding of another process."""
    return a.shape == b.shape and np.abs(a.astype(int) - b).mean() < 1


def test_fifty_fast_moves_end_in_the_last_state(widget, twins):
    shown = widget("explore")
    shown.choose("method", "integrated_gradients")
    shown.box("steps").wait_for()
    start = shown.number("steps")
    shown.press("steps", "ArrowRight", 50)
    assert shown.number("steps") == start + 50
    assert until(lambda: near(shown.picture(), says(twins["explore"], shown, "explore")))
    assert twins["explore"].question.knobs[1] == ("steps", int(start + 50))


def test_what_is_impossible_is_said_in_the_widget(widget):
    shown = widget("explore")
    shown.choose("class", "bar")
    shown.choose("rather than", "bar")
    alert = shown.root.get_by_role("alert")
    alert.wait_for(state="attached")
    assert "contrast: two different classes" in alert.text_content()
    assert len(alert.text_content().strip().splitlines()) == 3
    shown.choose("rather than", "no other class")
    alert.wait_for(state="detached")


def test_slow_work_is_marked(widget):
    shown = widget("explore")
    shown.choose("method", "permutation_shapley")
    shown.root.get_by_role("status").wait_for(state="attached")
    shown.root.get_by_role("status").wait_for(state="detached")
    shown.choose("method", "gradient")


def test_reasons_unfold_by_keyboard(book, widget):
    summary = widget("explore").root.locator("details summary")
    summary.focus()
    book.page.keyboard.press("Enter")
    widget("explore").root.get_by_text("attention was seen").first.wait_for()


def test_a_map_is_pinned_by_mouse_and_let_go_by_keyboard(book, widget):
    shown = widget("side_by_side")
    pictures = shown.root.locator("img")
    count = pictures.count()
    shown.click("pin")
    assert until(lambda: pictures.count() == count + 1)
    shown.root.get_by_role("button", name="pin").first.focus()
    book.page.keyboard.press("Enter")
    assert until(lambda: pictures.count() == count)


def test_a_method_is_added_by_mouse_and_dropped_by_keyboard(book, widget):
    shown = widget("side_by_side")
    pictures = shown.root.locator("img")
    count = pictures.count()
    shown.choose("add", "lrp")
    assert until(lambda: pictures.count() == count + 1)
    shown.root.get_by_role("button", name="drop").last.focus()
    book.page.keyboard.press("Enter")
    assert until(lambda: pictures.count() == count)


@pytest.mark.parametrize("name", ["attention", "perturb"])
def test_squares_of_a_picture_can_be_clicked(widget, twins, name):
    shown = widget(name)
    before = shown.picture()
    shown.square(19)
    assert until(lambda: differ(shown.picture(), before))
    assert until(lambda: near(shown.picture(), says(twins[name], shown, name)))


def test_paint_is_laid_on_and_wiped_off(widget):
    shown = widget("perturb")
    shown.choose("a click", "paints")
    before = shown.picture()
    shown.square(60)
    shown.square(61)
    assert until(lambda: differ(shown.picture(), before))
    shown.click("wipe the paint off")
    assert until(lambda: not differ(shown.picture(), before))


def test_training_is_started_stopped_and_looked_back_on(widget):
    shown = widget("watch")
    shown.click("train")
    shown.root.get_by_text(re.compile("Epoch [1-7] of 8")).wait_for()  # a busy browser may not paint each epoch
    shown.click("stop")
    button = shown.root.get_by_role("button", name="train")
    assert until(button.is_enabled)
    assert 1 <= shown.number("epoch") < 8
    shown.click("train")
    shown.root.get_by_text("Epoch 8 of 8").wait_for()
    shown.root.get_by_text("after epoch 8").wait_for()  # the words come before the picture
    last = shown.picture()
    shown.press("epoch", "Home")
    shown.root.get_by_text("Before training.").wait_for()
    shown.root.get_by_text("after epoch 0").wait_for()
    assert differ(shown.picture(), last)
    shown.drag("epoch", 1.0)
    assert until(lambda: not differ(shown.picture(), last))


@pytest.mark.parametrize("theme", ["Dark", "Light"])
def test_nothing_is_cut_off_at_1024_pixels(book, widget, theme):
    book.theme(f"JupyterLab {theme}")
    for name in WIDGETS:
        shown = widget(name)
        shown.shot(SHOTS / f"{name}-{theme.lower()}.png")
        wide, room = shown.root.evaluate("e => [e.scrollWidth, e.clientWidth]")
        assert wide <= room, name


def test_after_a_restart_of_the_kernel_it_works_again(opened, twins):
    book = opened("one")
    book.run_all_cleanly()
    shown = book.widget("explore", 1)
    first = shown.picture()
    book.restart()
    book.run_all_cleanly()
    assert until(lambda: not differ(shown.picture(), first))
    shown.press("picture", "ArrowRight")
    assert until(lambda: near(shown.picture(), says(twins["explore"], shown, "explore")))
