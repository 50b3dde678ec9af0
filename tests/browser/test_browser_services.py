"""The page of both services in a real browser: by keyboard, four methods beside a control, on a telephone."""

import axe
import pytest

from tests.services.launching import APPS, ON, running
from tests.services.uploads import GIF, PHOTOGRAPH

PICTURE = {"name": "photograph.png", "mimeType": "image/png", "buffer": PHOTOGRAPH}
PATIENCE = 300_000  # milliseconds: nothing here measures time


@pytest.fixture(scope="module", params=APPS)
def address(request, tmp_path_factory):
    with running(request.param, ON[request.param], tmp_path_factory.mktemp("page")) as service:
        yield service.address


@pytest.fixture
def page(browser, address):
    """The page, and whatever its console complains about."""
    page = browser.new_page(viewport={"width": 1024, "height": 800})
    page.set_default_timeout(PATIENCE)
    page.complaints = []
    page.on("console", lambda message: page.complaints.append(message.text) if message.type == "error" else None)
    page.on("pageerror", lambda error: page.complaints.append(str(error)))
    page.goto(address)
    yield page
    page.close()


def cards(page):
    return page.locator("#cards .card")


def test_four_methods_are_asked_for_by_keyboard_alone(page):
    page.locator("#picture").set_input_files(PICTURE)
    page.locator("#preview").wait_for()
    boxes = page.locator("input[name=method]")
    for number in range(boxes.count()):
        if boxes.nth(number).is_checked() != (number < 4):
            boxes.nth(number).focus()
            page.keyboard.press("Space")
    assert page.locator("input[name=method]:disabled").count() == boxes.count() - 4  # a fifth cannot be chosen
    page.locator("#explain").focus()
    page.keyboard.press("Enter")
    page.get_by_text("All 5 done.").wait_for()
    assert cards(page).count() == 6  # the picture as the model saw it, four methods, a control
    assert all(image.get_attribute("alt") for image in cards(page).locator("img").all())
    assert page.complaints == []


def test_what_is_no_picture_is_said_and_the_next_one_is_taken(page):
    page.locator("#picture").set_input_files({"name": "moving.png", "mimeType": "image/png", "buffer": GIF})
    page.locator("#explain").click()
    page.get_by_role("alert").get_by_text("must be PNG, JPEG or WebP").wait_for()
    page.locator("#picture").set_input_files(PICTURE)
    page.locator("#explain").click()
    page.locator("#cards img").first.wait_for()
    page.get_by_text(" done.").wait_for()
    assert [text for text in page.complaints if "415" not in text] == []  # the browser itself notes the refusal


def test_on_a_telephone_nothing_stands_beside_the_screen(page):
    page.set_viewport_size({"width": 360, "height": 740})
    page.locator("#picture").set_input_files(PICTURE)
    page.locator("#explain").click()
    page.get_by_text(" done.").wait_for()
    assert page.evaluate("document.documentElement.scrollWidth") <= 360
    assert page.complaints == []


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_axe_finds_nothing_before_and_after_an_answer(page, scheme):
    page.emulate_media(color_scheme=scheme)
    assert axe.find_faults(page) == []
    page.locator("#picture").set_input_files(PICTURE)
    page.locator("#explain").click()
    page.get_by_text(" done.").wait_for()
    assert axe.find_faults(page) == []


def test_every_control_is_reached_by_tab_has_a_name_and_keeps_the_keyboard(page):
    page.locator("#picture").set_input_files(PICTURE)
    page.locator("#preview").wait_for()
    stops = list(axe.walk_by_tab(page, page.locator("body")))
    assert [stop for stop, is_seen in stops if not (stop.name.strip() and is_seen)] == []
    roles = [stop.role for stop, _ in stops]
    assert {"button", "checkbox", "radio", "spinbutton", "link"} <= set(roles)
    page.locator("#explain").focus()
    page.keyboard.press("Enter")
    page.get_by_text(" done.").wait_for()
    assert page.evaluate("document.activeElement.id") == "explain"
