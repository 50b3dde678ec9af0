"""What the browser tests start: the system's Chromium, a JupyterLab, any other server."""

import json
import os
import secrets
import shutil
import signal
import socket
import subprocess
import sys
import time
from contextlib import contextmanager
from pathlib import Path
from urllib.error import HTTPError
from urllib.request import urlopen

import nbformat
import pytest

NAMES = ("chromium", "chromium-browser", "google-chrome")
CHROMIUM = next(filter(None, map(shutil.which, NAMES)), None)
ARGUMENTS = "--no-sandbox --disable-gpu --disable-quic --no-first-run --disable-background-networking".split()
ARGUMENTS += "--disable-component-update --disable-sync".split()
PATIENCE = 600  # seconds for a server to answer: generous, as nothing here measures time


def chromium(driver):
    """Playwright brings no browser of its own."""
    return driver.chromium.launch(executable_path=CHROMIUM, headless=True, args=ARGUMENTS)


@contextmanager
def run_chromium():
    """Chromium for tests, which are skipped where there is none; while it runs, nobody else may use asyncio here."""
    if CHROMIUM is None:
        pytest.skip("NO BROWSER TEST IS RUN: no Chromium here; try: apt-get install chromium")
    playwright = pytest.importorskip("playwright.sync_api")
    with playwright.sync_playwright() as driver:
        running = chromium(driver)
        yield running
        running.close()


def write(path, cells):
    book = nbformat.v4.new_notebook(cells=[nbformat.v4.new_code_cell(source) for source in cells])
    book.metadata.kernelspec = {"name": "python3", "display_name": "Python 3 (ipykernel)"}
    nbformat.write(book, path)


def home(folder):
    """Environment of a server of its own: no news, no settings of whoever runs the tests."""
    quiet = folder / "settings" / "@jupyterlab" / "apputils-extension" / "notification.jupyterlab-settings"
    quiet.parent.mkdir(parents=True)
    quiet.write_text(json.dumps({"fetchNews": "false", "checkForUpdates": False, "doNotDisturbMode": True}))
    places = {"CONFIG": "config", "DATA": "data", "RUNTIME": "runtime"}
    names = {f"JUPYTER_{name}_DIR": str(folder / part) for name, part in places.items()}
    names |= {f"JUPYTERLAB_{name.upper()}_DIR": str(folder / name) for name in ("settings", "workspaces")}
    return {**os.environ, **names, "IPYTHONDIR": str(folder / "ipython")}


@contextmanager
def jupyterlab(root, environment):
    """Address and token of a running JupyterLab; Notebook 7 lives in the same server."""
    token, port = secrets.token_hex(16), free_port()
    options = f"--no-browser --allow-root --port={port} --ServerApp.ip=127.0.0.1 --ServerApp.port_retries=0"
    options += f" --IdentityProvider.token={token} --ServerApp.root_dir={root}"
    options += " --LabApp.expose_app_in_browser=True --JupyterNotebookApp.expose_app_in_browser=True"
    with serving([sys.executable, "-m", "jupyterlab", *options.split()], environment, f"http://127.0.0.1:{port}/api"):
        yield f"http://127.0.0.1:{port}", token


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
        end = time.monotonic() + PATIENCE
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
        raise RuntimeError(self.log.read_text())

    def __exit__(self, *_):
        if self.process.poll() is None:
            os.killpg(self.process.pid, signal.SIGTERM)
        self.process.wait(PATIENCE)
