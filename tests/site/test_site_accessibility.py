"""Every kind of page of the web site without eyes and without a mouse: axe-core, names, the way by Tab.

With XNB_TRUST=1 each page is seen in light, in dark and at the width of a phone; otherwise a quarter of them, others
each day.
"""

import pytest

from tests.browser import axe

pytestmark = pytest.mark.slow
LONG = 600_000  # milliseconds: generous, as nothing here measures time
PHONE = {"width": 390, "height": 800}
DESK = {"width": 1280, "height": 900}
TYPESET = "async () => { await window.MathJax?.startup?.promise }"
# One of each kind: front page, notebooks with formulas and with tables, API, answers, search, Chinese, source, index.
PAGES = (
    *("docs/index.html", "notebooks/03_attribution_methods.html", "notebooks/07_measuring_explanations.html"),
    *("docs/api/widgets.html", "docs/api/adapters.html", "docs/faq.html", "docs/glossary.html", "docs/techniques.html"),
    *("search.html?q=rollout", "docs/zh/index.html", "docs/zh/03_attribution_methods.html", "MODELS.html"),
    *("_modules/xnb/methods/gradient.html", "genindex.html", "docs/article_map.html", "CHANGELOG.html"),
)
VIEWS = {"light": (DESK, "light"), "dark": (DESK, "dark"), "phone": (PHONE, "light")}
CASES = axe.take_turns([(path, view) for path in PAGES for view in VIEWS], 4)


@pytest.fixture
def opened(browser, address):
    contexts = []

    def open(path, viewport=DESK, scheme="light"):
        contexts.append(browser.new_context(viewport=viewport, color_scheme=scheme))
        page = contexts[-1].new_page()
        page.set_default_timeout(LONG)
        page.goto(f"{address}/{path}")
        page.evaluate(TYPESET)
        if path.startswith("search"):
            page.wait_for_function("document.querySelectorAll('#search-results li').length > 2")
        return page

    yield open
    for context in contexts:
        context.close()


@pytest.mark.parametrize(("path", "view"), CASES)
def test_axe_finds_nothing(opened, path, view):
    page = opened(path, *VIEWS[view])
    assert axe.find_faults(page) == []


@pytest.mark.parametrize("path", ["docs/index.html", "notebooks/03_attribution_methods.html"])
def test_every_stop_of_tab_has_a_name_and_is_seen(opened, path):
    page = opened(path)
    stops = list(axe.walk_by_tab(page, page.locator("body"), most=60))
    assert len(stops) > 20
    assert stops[0][0].name == "Skip to main content"
    assert [stop for stop, is_seen in stops if not (stop.name.strip() and is_seen)] == []


def test_a_folded_cell_opens_by_keyboard(opened):
    page = opened("notebooks/03_attribution_methods.html")
    cell = page.locator("#fig-03-1")
    cell.locator("summary").focus()
    page.keyboard.press("Enter")
    assert cell.locator(".cell_input pre").is_visible()


def test_pictures_say_what_they_show(pages, site):
    """A name of a file is no description."""
    nameless = []
    for path, page in pages.items():
        nameless += [(str(path), alt) for alt in page.alternatives if not alt or alt.endswith((".png", ".svg", ".gif"))]
    assert nameless == []
