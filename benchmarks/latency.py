"""Milliseconds from a key press to the new picture, in a real JupyterLab in a real browser, as a person sees it."""

import numpy as np

from tests.browser import driver, servers
from tests.browser.pages import page

COUNT = 15  # moves of each, every one to a picture that was not shown before
SETUP = """
from xnb import checkpoints, data, widgets
net, split = checkpoints.load("smallcnn-shapes"), data.shapes(n=(0, 40), seed=1)
"""
KNOBS = {"integrated_gradients": {"steps": 50}, "smoothgrad": {"samples": 50}}
GOALS = {"gradient": 100, "gradient_times_input": 100, "lrp": 100, "grad_cam": 100}
GOALS |= {"integrated_gradients": 300, "smoothgrad": 300, "occlusion": 300}
# The page's own clock: from the key to the first frame after the new map is decoded.
CLOCK = """(root, alt) => {
    const clock = window.clock = {}, shown = () => root.querySelector(`img[alt*="${alt}"]`);
    clock.reset = () => { clock.start = clock.end = null; clock.src = shown().src; };
    root.addEventListener('keydown', () => { clock.start = performance.now(); }, true);
    new MutationObserver(async () => {
        const image = shown();
        if (!clock.start || clock.end || !image || image.src === clock.src) return;
        await image.decode();
        requestAnimationFrame(() => { clock.end ??= performance.now(); });
    }).observe(root, {subtree: true, childList: true, attributes: true}); }"""


def latency() -> dict[str, dict[str, float]]:
    """Median and ninth decile of each method, beside its goal; empty where there is no Chromium."""
    if servers.CHROMIUM is None:
        return {}
    with page([SETUP, *map(cell, GOALS)]) as book:
        found = {name: moves(book.widget("explore", 1 + k)) for k, name in enumerate(GOALS)}
    return {
        name: {"median": float(np.median(ms)), "ninth decile": float(np.quantile(ms, 0.9)), "goal": GOALS[name]}
        for name, ms in found.items()
    }


def cell(name: str) -> str:
    knobs = "".join(f"play.knob_controls[{name!r}][{knob!r}].value = {v}\n" for knob, v in KNOBS.get(name, {}).items())
    return f"play = widgets.explore(net, split, method={name!r})\n{knobs}play"


def moves(shown: driver.Widget, count: int = COUNT) -> list[float]:
    """Milliseconds of each of some moves of the slider that chooses the picture, one after the other."""
    shown.root.scroll_into_view_if_needed()
    shown.root.evaluate(CLOCK, driver.ALT["explore"])
    return [move(shown) for _ in range(count)]


def move(shown: driver.Widget) -> float:
    shown.page.wait_for_function(driver.IDLE)
    shown.page.wait_for_timeout(300)  # what follows the map, the curves of removal, is drawn by then
    shown.page.evaluate("clock.reset()")
    shown.press("picture", "ArrowRight")
    shown.page.wait_for_function("clock.end")
    return shown.page.evaluate("clock.end - clock.start")
