"""The web site as files: every link leads somewhere, and everything that should be there is."""

import base64
import json
import re
from importlib import import_module
from inspect import isclass, isfunction
from pathlib import Path

import pytest
from site_pages import follow, is_outside

import xnb

ROOT = Path(__file__).parents[2]
NOTEBOOKS = sorted((ROOT / "notebooks").glob("*.ipynb"))
ROOMS = ["adapters", "comparison", "data", "metrics", "models", "plot", "summary", "training", "widgets"]
pytestmark = pytest.mark.slow


def read_cells(path):
    return json.loads(path.read_text())["cells"]


def list_pictures(cell):
    """Pictures that a cell has stored, as bytes."""
    found = [output.get("data", {}).get("image/png") for output in cell.get("outputs", [])]
    return [base64.b64decode("".join(text)) for text in found if text]


@pytest.fixture(params=NOTEBOOKS, ids=lambda path: path.stem)
def notebook(request, site, pages):
    """The cells of a notebook, the path of its page and the page."""
    path = site / "notebooks" / f"{request.param.stem}.html"
    return read_cells(request.param), path, pages[path]


def test_every_link_within_the_site_leads_somewhere(pages):
    ids = {path.resolve(): set(page.ids) for path, page in pages.items()}
    broken = set()
    for path, page in pages.items():
        for link in filter(lambda link: not is_outside(link), page.links):
            target, id = follow(path, link)
            if not target.exists() or (id and target in ids and id not in ids[target]):
                broken.add((path.name, link))
    assert broken == set()


def test_the_front_page_is_where_it_is_looked_for(site, pages):
    assert "docs/index.html" in pages[site / "index.html"].links
    assert (site / "docs" / "index.html").exists()


def test_pages_load_nothing_from_elsewhere(site):
    """The browser's tests watch the same; this one needs none."""
    loaded = re.compile(
        r"<(?:script|img|iframe|source)\b[^>]*?\bsrc=\"(?:https?:)?//|<link\b[^>]*?\bhref=\"(?:https?:)?//"
    )
    assert [path for path in site.rglob("*.html") if loaded.search(path.read_text())] == []


def test_every_cell_is_an_anchor(notebook):
    cells, _, page = notebook
    ids = [cell["id"] for cell in cells]
    assert [id for id in ids if page.ids.count(id) != 1] == []


def test_every_stored_picture_stands_below_its_cell(notebook):
    cells, path, page = notebook
    for cell in cells:
        shown = [follow(path, tag["src"])[0].read_bytes() for name, tag in page.inside[cell["id"]] if name == "img"]
        assert [picture for picture in list_pictures(cell) if picture not in shown] == [], cell["id"]


def test_tagged_cells_are_folded_and_no_other(notebook):
    cells, _, page = notebook
    for cell in (cell for cell in cells if cell["cell_type"] == "code"):
        folds = [tag for name, tag in page.inside[cell["id"]] if name == "details"]
        tagged = "hide-input" in cell["metadata"].get("tags", [])
        assert len(folds) == tagged, cell["id"]
        assert not any("open" in tag for tag in folds), cell["id"]


@pytest.mark.parametrize("path", NOTEBOOKS, ids=lambda path: path.stem)
def test_a_notebook_says_how_to_run_it_and_can_be_downloaded(path, site, pages):
    where = site / "notebooks" / f"{path.stem}.html"
    page = pages[where]
    assert f"make lab opens JupyterLab; the file is notebooks/{path.name}" in page.text
    copies = [follow(where, link)[0] for link in page.links if link.endswith(".ipynb") and not is_outside(link)]
    assert copies
    assert all(copy.read_bytes() == path.read_bytes() for copy in copies)


def test_notebooks_stand_in_reading_order(site, pages):
    """That of the table in README.md, each once in the list of the front page and in the contents at its side."""
    order = re.findall(r"^\| \[(\d\d_\w+)\]\(notebooks/", (ROOT / "README.md").read_text(), re.M)
    assert sorted(order) == [path.stem for path in NOTEBOOKS]
    front = pages[site / "docs" / "index.html"]
    linked = [Path(link).stem for link in front.links if re.fullmatch(r"\.\./notebooks/\d\d_\w+\.html", link)]
    assert list(dict.fromkeys(linked)) == order


@pytest.mark.parametrize("registry", [xnb.methods.METHODS, xnb.metrics.METRICS], ids=["methods", "metrics"])
def test_every_method_and_metric_has_an_entry_with_its_paper(registry, site, pages):
    page = pages[site / "docs" / "api" / f"{registry.kind}s.html"]
    for name, function in registry.items():
        assert {f"{function.__module__}.{name}", f"xnb.{registry.kind}s.{name}"} & set(page.ids), name
        assert f"paper – {registry.cards[name].paper}" in page.text, name


@pytest.mark.parametrize("room", ROOMS)
def test_every_public_function_of_a_room_has_an_entry(room, site, pages):
    page = pages[site / "docs" / "api" / f"{room}.html"]
    module = import_module(f"xnb.{room}")
    front = Path(module.__file__)
    stub = front.with_suffix(".pyi")
    names = re.findall(r"(\w+) as \1\b", (stub if stub.exists() else front).read_text())
    functions = [name for name in names if isfunction(getattr(module, name)) or isclass(getattr(module, name))]
    assert functions
    entries = [*page.ids, *(link.split("#")[-1].replace("xnb.", f"xnb.{room}.") for link in page.links)]
    assert [name for name in functions if f"xnb.{room}.{name}" not in entries] == []


def test_formulas_of_methods_are_shown(site, pages):
    page = pages[site / "docs" / "api" / "methods.html"]
    written = sum(".. math::" in function.__doc__ for function in xnb.METHODS.values())
    shown = [tag for _, tag in page.inside["main-content"] if (tag.get("class") or "").startswith("math ")]
    assert written > 20
    assert len(shown) >= written


@pytest.mark.parametrize(
    "name", ["ARCHITECTURE", "CONTRIBUTING", "CHANGELOG", "MODELS", "data/README", "benchmarks/README"]
)
def test_pages_of_the_repository_are_included(name, site):
    assert (site / f"{name}.html").exists()


def test_chinese_pages_name_their_language(site):
    """Browsers choose the forms of Chinese characters by it."""
    pages = [*(site / "docs" / "zh").glob("*.html"), site / "README.zh-CN.html"]
    assert len(pages) > len(NOTEBOOKS)
    assert all('lang="zh-CN"' in path.read_text()[:400] for path in pages)
    assert 'lang="en"' in (site / "docs" / "index.html").read_text()[:400]
