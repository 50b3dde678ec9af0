"""Services as processes: started, asked until they answer, ended."""

import os
import signal
import socket
import subprocess
import sys
import time
from contextlib import contextmanager
from pathlib import Path

import psutil
import requests

from xnb.folders import ROOT

HERE = Path(__file__).parent
APPS = ("flask", "django")
SERVERS = ("waitress", "gunicorn")
ON = {"flask": "waitress", "django": "gunicorn"}  # where one pair an app is enough
PATIENCE = 300  # seconds for a service to begin or to end: nothing here measures time
GUNICORN = f"gunicorn --config={ROOT}/services/gunicorn_settings.py --bind=127.0.0.1:{{port}}"
PROGRAMS = {
    ("flask", "waitress"): "services.serve_flask --port={port}",
    ("django", "waitress"): "services.serve_django --port={port}",
    ("flask", "gunicorn"): f"{GUNICORN} services.flask_app:create_app()",
    ("django", "gunicorn"): f"{GUNICORN} services.django_app.wsgi:application",
}


def free_port():
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]


class Running:
    """A service in a process of its own, from the moment that it is ready."""

    def __init__(self, app, server, folder, port=None, processes=1, **settings):
        self.port = port or free_port()
        self.address = f"http://127.0.0.1:{self.port}"
        self.log = folder / f"{app}-{server}-{self.port}.log"
        paths = os.pathsep.join([str(ROOT), str(HERE)])
        settings = {"model": "tiny_models:tiny", "torch_threads": 1} | settings
        names = {f"XNB_SERVE_{name.upper()}": str(value) for name, value in settings.items()}
        counts = {"OMP_NUM_THREADS": "1", "WEB_CONCURRENCY": str(processes)}
        environment = os.environ | names | counts | {"PYTHONPATH": paths}
        command = PROGRAMS[app, server].format(port=self.port).split()
        with self.log.open("a") as log:
            self.process = subprocess.Popen(
                [sys.executable, "-m", *command], cwd=folder, env=environment, stdout=log, stderr=log
            )

    def wait(self):
        """Wait until it is ready."""
        end = time.monotonic() + PATIENCE
        while time.monotonic() < end and self.process.poll() is None:
            if self.is_ready():
                return self
            time.sleep(0.1)
        self.stop()
        raise RuntimeError(self.log.read_text())

    def is_ready(self):
        try:
            return requests.get(f"{self.address}/readyz", timeout=30).status_code == 200
        except (requests.ConnectionError, requests.Timeout):  # gunicorn listens before its worker has begun
            return False

    def everyone(self):
        """Its process, and those that this one has started."""
        first = psutil.Process(self.process.pid)
        return [first, *first.children(recursive=True)]

    def memory(self):
        """Mebibytes that all its processes hold."""
        return sum(process.memory_info().rss for process in self.everyone()) / 2**20

    def stop(self, by=signal.SIGTERM):
        """End it; returns its exit code."""
        if self.process.poll() is None:
            self.process.send_signal(by)
        return self.process.wait(PATIENCE)

    def kill(self):
        """End it and all its processes at once, as a machine does that has no memory left."""
        for process in self.everyone():  # the first first, or it would begin another in the place of the second
            process.kill()
        return self.process.wait(PATIENCE)


@contextmanager
def running(app, server, folder, **settings):
    service = Running(app, server, folder, **settings)
    try:
        yield service.wait()
    finally:
        service.stop()
