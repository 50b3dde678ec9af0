"""`make lab` itself, asked what a browser would ask."""

import json
import os
import signal
import socket
import subprocess
import sys
import time
from pathlib import Path
from urllib.error import HTTPError, URLError
from urllib.request import Request, urlopen

import pytest

ROOT = Path(__file__).parents[2]
TOKEN = "for-the-test"
PATIENCE = 600  # seconds for an answer: generous, as nothing here measures time


def free_port():
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]


@pytest.fixture(scope="module")
def lab(tmp_path_factory):
    """A running server and its address; the installation is this Python's."""
    home, port = tmp_path_factory.mktemp("jupyter"), free_port()
    places = ("JUPYTER_CONFIG_DIR", "JUPYTER_DATA_DIR", "JUPYTER_RUNTIME_DIR", "IPYTHONDIR")
    places += ("JUPYTERLAB_SETTINGS_DIR", "JUPYTERLAB_WORKSPACES_DIR")
    options = f"--no-browser --allow-root --port={port} --ServerApp.port_retries=0 --ServerApp.ip=127.0.0.1"
    options += f" --IdentityProvider.token={TOKEN}"
    command = [
        "make",
        "--assume-old=.venv/installed",
        "lab",
        f"BIN={Path(sys.executable).parent}",
        f"LAB_ARGS={options}",
    ]
    environment = {**os.environ, **{name: str(home / name) for name in places}}
    with (home / "log").open("w") as log:
        server = subprocess.Popen(command, cwd=ROOT, env=environment, stdout=log, stderr=log, start_new_session=True)
    try:
        wait_for(port, server, home / "log")
        yield port
    finally:
        os.killpg(server.pid, signal.SIGTERM)
        server.wait(timeout=PATIENCE)


def wait_for(port, server, log):
    end = time.monotonic() + PATIENCE
    while time.monotonic() < end and server.poll() is None:
        try:
            return ask(port, "/api")
        except URLError:
            time.sleep(0.2)
    pytest.fail(log.read_text())


def ask(port, path, method="GET"):
    request = Request(f"http://127.0.0.1:{port}{path}", method=method, headers={"Authorization": f"token {TOKEN}"})
    with urlopen(request, timeout=PATIENCE) as answer:
        return answer.status, answer.url, answer.read()


def test_opens_with_the_notebooks(lab):
    status, url, page = ask(lab, "/")
    assert status == 200
    assert url.endswith("/lab/tree/notebooks")
    assert b"JupyterLab" in page


def test_all_notebooks_are_there_and_open(lab):
    listing = json.loads(ask(lab, "/api/contents/notebooks")[2])["content"]
    names = {item["name"] for item in listing if item["type"] == "notebook"}
    assert names == {path.name for path in (ROOT / "notebooks").glob("*.ipynb")}
    for name in names:
        assert json.loads(ask(lab, f"/api/contents/notebooks/{name}")[2])["content"]["cells"]


def test_a_kernel_starts_and_stops(lab):
    status, _, answer = ask(lab, "/api/kernels", "POST")
    kernel = json.loads(answer)
    assert (status, kernel["name"]) == (201, "python3")
    assert ask(lab, f"/api/kernels/{kernel['id']}", "DELETE")[0] == 204
    assert json.loads(ask(lab, "/api/kernels")[2]) == []


def test_strangers_are_refused(lab):
    with pytest.raises(HTTPError, match="403"):
        urlopen(f"http://127.0.0.1:{lab}/api/contents", timeout=PATIENCE)
