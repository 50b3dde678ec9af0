"""The web site in a browser: nothing is asked of another host, it fits a phone, and its controls work."""

import pytest

pytestmark = pytest.mark.slow
LONG = 600_000  # milliseconds: generous, as nothing here measures time
PHONE = {"width": 390, "height": 800}
DESK = {"width": 1280, "height": 900}
TYPESET = "async () => { await window.MathJax?.startup?.promise }"
# Pages that viewcode makes of source files are all alike: a few stand for them.
MODULE_PAGES = 3


@pytest.fixture
def opened(browser, address):
    """Open a page of the site where no other host answers; what was asked of others fails the test."""
    outside, errors, contexts = [], [], []

    def route(request):
        if request.request.url.startswith(address):
            request.continue_()
        else:
            outside.append(request.request.url)
            request.abort()

    def open(path, viewport=DESK, scheme="light"):
        context = browser.new_context(viewport=viewport, color_scheme=scheme)
        contexts.append(context)
        context.route("**/*", route)
        page = context.new_page()
        page.set_default_timeout(LONG)
        page.on("pageerror", lambda error: errors.append(str(error)))
        page.goto(f"{address}/{path}")
        page.evaluate(TYPESET)
        return page

    yield open
    for context in contexts:
        context.close()
    assert outside == []
    assert errors == []


def list_paths(site):
    paths = sorted(str(path.relative_to(site)) for path in site.rglob("*.html") if "_static" not in path.parts)
    modules = [path for path in paths if path.startswith("_modules")]
    return [path for path in paths if path not in modules[MODULE_PAGES:] and path != "index.html"]


def test_every_page_fits_a_phone_and_asks_no_other_host(opened, site, address):
    page = opened("docs/index.html", PHONE)
    wide, untypeset = {}, {}
    for path in list_paths(site):
        page.goto(f"{address}/{path}")
        page.evaluate(TYPESET)
        width = page.evaluate("document.documentElement.scrollWidth")
        if width > PHONE["width"]:
            wide[path] = width
        bad = page.evaluate("document.querySelectorAll('mjx-merror, .math:not(:has(mjx-container))').length")
        if bad:
            untypeset[path] = bad
    assert wide == {}
    assert untypeset == {}


def test_the_address_without_a_page_leads_to_the_front_page(opened, address):
    page = opened("docs/index.html")
    page.goto(f"{address}/")
    page.wait_for_url("**/docs/index.html")
    assert page.title().startswith("xnb")


def test_formulas_are_drawn_in_fonts_of_the_site(opened):
    page = opened("docs/api/methods.html")
    page.evaluate("async () => { await document.fonts.ready }")
    assert page.locator("mjx-container").count() > 50
    loaded = "[...document.fonts].filter(font => font.status == 'loaded' && font.family.startsWith('MJX')).length"
    assert page.evaluate(loaded) > 0


def test_a_link_to_a_cell_lands_on_it(opened):
    page = opened("notebooks/09_ten_claims.html#check-2")
    box = page.locator("#check-2").bounding_box()
    assert 0 <= box["y"] < DESK["height"] / 2


def test_a_folded_cell_opens_by_a_click(opened):
    page = opened("notebooks/03_attribution_methods.html")
    cell = page.locator("#fig-03-1")
    code = cell.locator(".cell_input pre")
    assert not code.is_visible()
    cell.locator("summary").click()
    assert code.is_visible()
    assert "savefig" in code.inner_text()


def test_search_finds_a_method_in_pages_and_entries(opened):
    page = opened("search.html?q=rollout")
    page.wait_for_function("document.querySelectorAll('#search-results li').length > 2")
    found = page.locator("#search-results li a").evaluate_all("links => links.map(link => link.href)")
    assert any(link.split("#")[0].split("?")[0].endswith("docs/api/methods.html") for link in found)
    assert any("/notebooks/" in link for link in found)


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_dark_mode_follows_the_reader_and_leaves_figures_as_they_are(scheme, opened):
    page = opened("notebooks/03_attribution_methods.html", scheme=scheme)
    assert page.evaluate("document.documentElement.dataset.theme") == scheme
    colour = "getComputedStyle(document.body).backgroundColor.match(/[0-9]+/g).map(Number)"
    assert (max(page.evaluate(colour)[:3]) < 60) == (scheme == "dark")
    figure = page.locator("#fig-03-1 img")
    assert figure.evaluate("image => getComputedStyle(image).filter") == "none"


def test_a_button_changes_light_and_dark(opened):
    page = opened("docs/index.html")
    for mode in ("dark", "light"):
        page.locator(".theme-switch-button:visible").first.click()
        page.locator(f".theme-change-button[data-mode={mode}]:visible").first.click()
        assert page.evaluate("document.documentElement.dataset.theme") == mode
