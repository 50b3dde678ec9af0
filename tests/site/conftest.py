"""The web site, built once from what is here, and a server for the browser."""

import os
import subprocess
import sys
import threading
from functools import partial
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest
from site_pages import read_pages

from tests.browser import servers

ROOT = Path(__file__).parents[2]


@pytest.fixture(scope="session")
def site(tmp_path_factory):
    """The folder of the site, as `make site` fills it; a warning would have ended it."""
    pytest.importorskip("sphinx", reason="the extra `site` is not installed")
    folder = tmp_path_factory.mktemp("work") / "site"
    clean = {name: value for name, value in os.environ.items() if "MAKE" not in name}  # this may be `make test` itself
    command = ["make", "-C", ROOT, "--assume-old=.venv/installed", "site"]
    command += [f"BIN={Path(sys.executable).parent}", f"SITE={folder}"]
    done = subprocess.run(command, env=clean, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    return folder


@pytest.fixture(scope="session")
def pages(site):
    """What links, ids and pictures each page has, by its path."""
    return read_pages(site)


class Silent(SimpleHTTPRequestHandler):
    def log_message(self, *_):
        pass


@pytest.fixture(scope="session")
def address(site):
    """Address of a server of the site."""
    with ThreadingHTTPServer(("127.0.0.1", 0), partial(Silent, directory=site)) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        yield f"http://127.0.0.1:{server.server_port}"
        server.shutdown()


@pytest.fixture(scope="module")
def browser():
    """Chromium, for the length of a file."""
    with servers.run_chromium() as running:
        yield running
