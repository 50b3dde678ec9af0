"""A real JupyterLab (with Notebook 7) and Voila, and the system's Chromium, started by the first test that asks."""

import json
import os
import secrets
import shutil
import signal
import socket
import subprocess
import sys
import time
from pathlib import Path
from urllib.error import HTTPError
from urllib.request import urlopen

import nbformat
import pytest
import torch
from driver import LONG, Notebook

ROOT = Path(__file__).parents[2]
NAMES = ("chromium", "chromium-browser", "google-chrome")
CHROMIUM = next(filter(None, map(shutil.which, NAMES)), None)
ARGUMENTS = "--no-sandbox --disable-gpu --disable-quic --no-first-run --disable-background-networking".split()
ARGUMENTS += "--disable-component-update --disable-sync".split()


@pytest.fixture(scope="session")
def browser():
    if CHROMIUM is None:
        pytest.skip("NO BROWSER TEST IS RUN: no Chromium here; try: apt-get install chromium")
    playwright = pytest.importorskip("playwright.sync_api")
    with playwright.sync_playwright() as driver:
        running = driver.chromium.launch(executable_path=CHROMIUM, headless=True, args=ARGUMENTS)
        yield running
        running.close()


@pytest.fixture(scope="session")
def workplace(tmp_path_factory):
    """A copy of the notebooks, the app and the stored figures, and a notebook with every widget."""
    root = tmp_path_factory.mktemp("workplace")
    for folder in ("notebooks", "app", "figures"):
        shutil.copytree(ROOT / folder, root / folder)
    cells = [SETUP, *(f"play = {line}\nplay" for line in WIDGETS.values())]
    write(root / "notebooks" / "widgets.ipynb", cells)
    write(root / "notebooks" / "one.ipynb", cells[:2])
    return root


def write(path, cells):
    book = nbformat.v4.new_notebook(cells=[nbformat.v4.new_code_cell(source) for source in cells])
    book.metadata.kernelspec = {"name": "python3", "display_name": "Python 3 (ipykernel)"}
    nbformat.write(book, path)


SETUP = """
import torch, xnb
from xnb import checkpoints, data, models, widgets
torch.manual_seed(0)
net, split = checkpoints.load("smallcnn-shapes"), data.shapes(n=(0, 12), seed=1)
vit, bagged = models.ViT().eval(), models.bag_classifier().eval()
"""
WIDGETS = {
    "explore": "widgets.explore(net, split)",
    "side_by_side": "widgets.side_by_side(net, split)",
    "attention": "widgets.attention(vit, split)",
    "bags": "widgets.attention(bagged, data.bags('positive_negative', n=(0, 8)))",
    "layers": "widgets.layers(net, split)",
    "perturb": "widgets.perturb(net, split)",
    "watch": "widgets.watch(models.SmallCNN(3, 6, widths=(4, 4, 8)), data.shapes(n=(96, 60)), count=4)",
}


@pytest.fixture(scope="session")
def twins():
    """The same widgets in this process: what the pure functions say of the state that a page is in."""
    names = {}
    with torch.random.fork_rng():
        exec(SETUP, names)
        return {name: eval(line, names) for name, line in WIDGETS.items()}


@pytest.fixture(scope="session")
def home(tmp_path_factory):
    """Environment of a server of its own: no news, no settings of whoever runs the tests."""
    home = tmp_path_factory.mktemp("jupyter")
    quiet = home / "settings" / "@jupyterlab" / "apputils-extension" / "notification.jupyterlab-settings"
    quiet.parent.mkdir(parents=True)
    quiet.write_text(json.dumps({"fetchNews": "false", "checkForUpdates": False, "doNotDisturbMode": True}))
    places = {"CONFIG": "config", "DATA": "data", "RUNTIME": "runtime"}
    names = {f"JUPYTER_{name}_DIR": str(home / folder) for name, folder in places.items()}
    names |= {"JUPYTERLAB_SETTINGS_DIR": str(home / "settings"), "JUPYTERLAB_WORKSPACES_DIR": str(home / "workspaces")}
    return {**os.environ, **names, "IPYTHONDIR": str(home / "ipython")}


@pytest.fixture(scope="session")
def lab(workplace, home):
    """Address and token of a running JupyterLab; Notebook 7 lives in the same server."""
    token, port = secrets.token_hex(16), free_port()
    options = f"--no-browser --allow-root --port={port} --ServerApp.ip=127.0.0.1 --ServerApp.port_retries=0"
    options += f" --IdentityProvider.token={token} --ServerApp.root_dir={workplace}"
    options += " --LabApp.expose_app_in_browser=True --JupyterNotebookApp.expose_app_in_browser=True"
    with serving([sys.executable, "-m", "jupyterlab", *options.split()], home, f"http://127.0.0.1:{port}/api"):
        yield f"http://127.0.0.1:{port}", token


@pytest.fixture(scope="session")
def voila(workplace, home):
    """Address of Voila, started as `make app` starts it."""
    port = free_port()
    command = ["make", "-C", str(ROOT), "--assume-old=.venv/installed", "app", f"BIN={Path(sys.executable).parent}"]
    command += [f"APP_ARGS=--no-browser --port={port} --Voila.ip=127.0.0.1"]
    with serving(command, home, f"http://127.0.0.1:{port}/voila/static/main.js"):
        yield f"http://127.0.0.1:{port}"


def free_port():
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]


class serving:
    """A server and its kernels for the length of a block, from the moment that it answers."""

    def __init__(self, command, environment, address):
        self.command, self.environment, self.address = command, environment, address
        self.log = Path(environment["JUPYTER_CONFIG_DIR"]).parent / f"{secrets.token_hex(4)}.log"

    def __enter__(self):
        with self.log.open("w") as log:
            options = {"env": self.environment, "stdout": log, "stderr": log, "start_new_session": True}
            self.process = subprocess.Popen(self.command, **options)
        end = time.monotonic() + LONG / 1000
        while time.monotonic() < end and self.process.poll() is None:
            try:
                urlopen(self.address, timeout=30).close()
            except HTTPError:
                return self
            except OSError:
                time.sleep(0.2)
            else:
                return self
        self.__exit__()
        return pytest.fail(self.log.read_text())

    def __exit__(self, *_):
        if self.process.poll() is None:
            os.killpg(self.process.pid, signal.SIGTERM)
        self.process.wait(60)


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
