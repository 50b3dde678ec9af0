"""Every widget without eyes and without a mouse: what axe-core says, names and order of controls, keys, outlines.

The squares over a picture are for the mouse: sliders do the same by keyboard. `test_browser_services.py` asks the same
of the services, and `tests/site/test_site_accessibility.py` of the web site. With XNB_TRUST=1 every widget is walked
through, otherwise others each day.

Tests: xnb.widgets.slider_names
"""

import axe
import pytest
from driver import Notebook, Widget, until
from widget_lines import WIDGETS

# What each role answers to, and what takes it back.
KEYS = {
    "slider": (("ArrowRight",), ("ArrowLeft",)),
    "checkbox": (("Space",), ("Space",)),
    "combobox": (("Space", "ArrowDown", "Enter"), ("Space", "ArrowUp", "Enter")),
    "listbox": (("ArrowDown",), ("ArrowUp",)),
}
# Moves of these change no picture: what a click will do; how it looks before the first epoch.
SILENT = {("perturb", "a click"), ("watch", "epoch")}
# A notebook keeps bare arrow keys in a list for itself: a slider beside it selects the same row.
KEPT_BY_NOTEBOOKS = {"listbox"}


@pytest.mark.parametrize("theme", ["Light", "Dark"])
def test_axe_finds_nothing_in_any_widget(book, widget, theme):
    book.theme(f"JupyterLab {theme}")
    faults = {}
    for name in WIDGETS:
        root = widget(name).root
        root.locator("img").first.wait_for()
        root.evaluate("(e, name) => { e.querySelector('.xnb-panel').dataset.asked = name }", name)
        found = axe.find_faults(book.page, f"[data-asked={name}]")
        if found:
            faults[name] = found
    assert faults == {}


@pytest.mark.parametrize("name", axe.take_turns(WIDGETS, 3))
def test_tab_reaches_every_control_in_order_by_its_name(book, widget, twins, name):
    shown = widget(name)
    stops, unseen = [], []
    for stop, is_seen in axe.walk_by_tab(book.page, shown.root):
        stops.append(stop)
        if not is_seen:
            unseen.append(stop)
    assert [stop for stop in stops if not stop.name.strip()] == []
    assert unseen == []
    reached = [stop.name for stop in stops]
    wanted = [control.description for control in list_controls(twins[name])]
    assert [name for name in reached if name in wanted] == wanted


def list_controls(panel):
    """Controls of a panel that can be moved, in the order in which they stand."""
    found = []
    for control in panel.controls.values():
        parts = control.children if control.has_trait("children") else [control]
        found += [part for part in parts if part.has_trait("description") and part.description]
    return [one for one in found if not one.disabled]


@pytest.mark.parametrize("name", axe.take_turns([name for name in WIDGETS if name != "photographs"], 3))
def test_keys_move_every_control_and_the_picture_follows(book, widget, name):
    shown = widget(name)
    still = []
    for stop, _ in axe.walk_by_tab(book.page, shown.root):
        if stop.role not in KEYS or stop.role in KEPT_BY_NOTEBOOKS or (name, stop.name) in SILENT:
            continue
        there, back = choose_keys(book.page, stop)
        before = view(shown)
        press(book.page, there)
        if not until(lambda before=before: view(shown) != before, seconds=60):
            still.append(stop.name)
        press(book.page, back)
        settle(shown)
    assert still == []


def choose_keys(page, stop):
    """Keys that move a control and those that take it back; from the last of its values backwards."""
    there, back = KEYS[stop.role]
    at_end = page.evaluate(
        """() => { const e = document.activeElement;
        return e.tagName == 'SELECT' ? e.selectedIndex == e.options.length - 1
            : e.getAttribute('aria-valuenow') == e.getAttribute('aria-valuemax') }"""
    )
    return (back, there) if at_end and stop.role != "checkbox" else (there, back)


def press(page, keys):
    for key in keys:
        page.keyboard.press(key)


def settle(shown):
    """Wait until the view has stayed as it is for a while."""
    seen = None
    while seen != (seen := view(shown)):
        shown.page.wait_for_timeout(600)


def view(shown):
    """Pictures, their words, and texts of the view, but for what its controls say of themselves."""
    return shown.root.evaluate("e => [...e.querySelectorAll('.widget-html-content')].map(part => part.innerHTML)")


def test_training_is_begun_by_keyboard(book, widget):
    shown = widget("watch")
    shown.root.get_by_role("button", name="train").focus()
    book.page.keyboard.press("Space")
    shown.root.get_by_text("Epoch 8 of 8").wait_for()
    before = shown.root.locator('img[alt*="most for it"]').first.get_attribute("alt")
    shown.press("epoch", "Home")
    shown.root.get_by_text("after epoch 0").wait_for()
    assert shown.root.locator('img[alt*="most for it"]').first.get_attribute("alt") != before


def test_knobs_that_come_later_are_named_too(book, widget):
    shown = widget("explore")
    shown.choose("method", "smoothgrad")
    slider = shown.root.get_by_role("slider", name="samples")
    slider.wait_for()
    assert slider.get_attribute("aria-valuetext") == shown.readout("samples")
    shown.choose("method", "occlusion")
    slider = shown.root.get_by_role("slider", name="window")
    slider.wait_for()
    slider.focus()
    for _ in range(3):
        book.page.keyboard.press("ArrowRight")
    assert until(lambda: slider.get_attribute("aria-valuetext") == shown.readout("window") == "3")


def test_the_app_has_no_fault_and_is_walked_by_keyboard(browser, voila):
    app = Notebook(browser, voila)
    shown = Widget(app.page, "explore", app.page.locator("body"))
    shown.root.locator('img[alt*="most for it"]').first.wait_for()
    assert axe.find_faults(app.page) == []
    stops = list(axe.walk_by_tab(app.page, app.page.locator(".xnb-panel")))
    assert [stop for stop, is_seen in stops if not stop.name.strip() or not is_seen] == []
    names = [stop.name for stop, _ in stops]
    assert any("your picture" in name for name in names)
    assert [name for name in names if name in ("picture", "class", "method", "colours")] == [
        "picture",
        "class",
        "method",
        "colours",
    ]
    app.page.close()
