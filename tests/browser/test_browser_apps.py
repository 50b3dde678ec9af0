"""The same widgets in Notebook 7, and the explorer as an app in Voila, with pictures of people's own."""

import io
from pathlib import Path

import numpy as np
from driver import Notebook, Widget, until
from PIL import Image

from benchmarks.latency import moves

SHOTS = Path(__file__).parents[2] / "build" / "screenshots"  # kept, for people to look at


def a_file(name, content):
    return {"name": name, "mimeType": "image/png", "buffer": content}


def send(page, file):
    """Choose a file as a person does, in the window that the button opens."""
    with page.expect_file_chooser() as opened:
        page.get_by_role("button", name="your picture").click()
    opened.value.set_files(file)


def test_notebook_7(opened):
    book = opened("one", "notebooks")
    book.run_all_cleanly()
    shown = book.widget("explore", 1)
    shown.root.locator("img").first.wait_for(state="attached")
    before = shown.picture()
    shown.choose("method", "occlusion")
    assert until(lambda: not np.array_equal(shown.picture(), before))
    before = shown.picture()
    shown.drag("picture", 0.7)
    assert until(lambda: not np.array_equal(shown.picture(), before))
    assert book.tracebacks() == book.stderr() == []


def test_the_app_takes_pictures_and_refuses_what_is_none(browser, voila):
    book = Notebook(browser, voila)
    shown = Widget(book.page, "explore", book.page.locator("body"))
    shown.root.locator("img").first.wait_for()
    before = shown.picture() if shown.root.locator('img[alt*="most for it"]').count() else None
    assert before is not None
    shown.choose("method", "gradient")
    assert until(lambda: not np.array_equal(shown.picture(), before))

    own = io.BytesIO()
    Image.fromarray(np.random.default_rng(0).integers(0, 255, (300, 400, 3), dtype=np.uint8)).save(own, "PNG")
    send(book.page, a_file("mine.png", own.getvalue()))
    assert until(lambda: shown.number("picture") == 6)
    shown.root.get_by_text("input 6:").first.wait_for(state="attached")
    shown.shot(SHOTS / "app.png")

    for name, content, rule in (
        ("broken.png", own.getvalue()[:500], "must be a whole PNG"),
        ("words.png", b"no picture at all", "must be a whole PNG"),
        ("large.png", bytes(6_000_000), "holds at most 5 MB"),
        ("huge.png", bytes(15_000_000), "holds at most 5 MB"),
    ):
        send(book.page, a_file(name, content))
        shown.root.get_by_role("alert").get_by_text(rule).wait_for()
        shown.choose("colours", "clipped: 99 % of the values")
        shown.choose("colours", "ends at the largest value")
        assert until(lambda: shown.root.get_by_role("alert").count() == 0)
    assert book.errors == []
    book.page.close()


def test_the_time_from_key_to_picture_is_taken(opened):
    book = opened("one")
    book.run_all_cleanly()
    shown = book.widget("explore", 1)
    before = shown.picture()
    assert all(0 < ms < 60_000 for ms in moves(shown, count=3))
    assert shown.number("picture") == 3
    assert not np.array_equal(shown.picture(), before)
