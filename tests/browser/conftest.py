"""A real JupyterLab (with Notebook 7) and Voila, and the system's Chromium, started by the first test that asks."""

import shutil
import sys
from pathlib import Path

import pytest
import servers
import torch
from driver import Notebook
from widget_lines import SETUP, WIDGETS

ROOT = Path(__file__).parents[2]


@pytest.fixture(scope="module")
def browser():
    """Chromium, until a test of another file comes."""
    with servers.run_chromium() as running:
        yield running


@pytest.fixture(scope="session")
def workplace(tmp_path_factory):
    """A copy of the notebooks, the app and the stored figures, and a notebook with every widget."""
    root = tmp_path_factory.mktemp("workplace")
    for folder in ("notebooks", "app", "figures"):
        shutil.copytree(ROOT / folder, root / folder)
    cells = [SETUP, *(f"play = {line}\nplay" for line in WIDGETS.values())]
    servers.write(root / "notebooks" / "widgets.ipynb", cells)
    servers.write(root / "notebooks" / "one.ipynb", cells[:2])
    return root


@pytest.fixture(scope="session")
def twins():
    """The same widgets in this process: what the pure functions say of the state that a page is in."""
    names = {}
    with torch.random.fork_rng():
        exec(SETUP, names)
        return {name: eval(line, names) for name, line in WIDGETS.items()}


@pytest.fixture(scope="session")
def home(tmp_path_factory):
    return servers.home(tmp_path_factory.mktemp("jupyter"))


@pytest.fixture(scope="session")
def lab(workplace, home):
    """Address and token of a running JupyterLab; Notebook 7 lives in the same server."""
    with servers.jupyterlab(workplace, home) as lab:
        yield lab


@pytest.fixture(scope="session")
def voila(workplace, home):
    """Address of Voila, started as `make app` starts it."""
    port = servers.free_port()
    command = ["make", "-C", str(ROOT), "--assume-old=.venv/installed", "app", f"BIN={Path(sys.executable).parent}"]
    command += [f"APP_ARGS=--no-browser --port={port} --Voila.ip=127.0.0.1"]
    with servers.serving(command, home, f"http://127.0.0.1:{port}/voila/static/main.js"):
        yield f"http://127.0.0.1:{port}"


@pytest.fixture(scope="module")
def opened(browser, lab):
    """Open a notebook of the workplace in JupyterLab or Notebook 7; closed at the end, its kernel too."""
    yield from opener(browser, lab)


@pytest.fixture
def opened_once(browser, lab):
    """The same, closed after one test."""
    yield from opener(browser, lab)


def opener(browser, lab):
    books = []

    def open(name, where="doc/tree"):
        address, token = lab
        books.append(Notebook(browser, f"{address}/{where}/notebooks/{name}.ipynb?token={token}&reset"))
        return books[-1]

    yield open
    for book in books:
        book.close()


@pytest.fixture(scope="module")
def book(opened):
    """The notebook with all widgets, run once."""
    book = opened("widgets")
    book.run_all_cleanly()
    return book


@pytest.fixture
def widget(book):
    return lambda name: book.widget(name, 1 + list(WIDGETS).index(name))
