"""A process whose disk can fail, and the report of `make trust`: what was done to the project, and that it stood."""

import json
import os
import shutil
import subprocess
import sys
from collections import Counter
from pathlib import Path

import pytest

HERE = Path(__file__).parent
ROOT = HERE.parents[1]
# Where the system lets us, the process has a small file system of its own, which can be filled, or locked.
MOUNT = ["unshare", "--mount", "sh", "-c", 'mount -t tmpfs -o size=8m tmpfs "$1" && shift && exec env "$@"', "sh"]


class Disk:
    """The process of `disk_server.py`."""

    def __init__(self, folder, shim):
        for name in ("sources", "small"):
            (folder / name).mkdir()
        paths = os.pathsep.join(map(str, (ROOT, HERE)))
        settings = {"LD_PRELOAD": shim, "XNB_TRUST_SOURCES": folder / "sources", "PYTHONPATH": paths}
        command = [*(f"{name}={value}" for name, value in settings.items()), sys.executable, HERE / "disk_server.py"]
        small = [*MOUNT, folder / "small"] if may_mount(folder) else ["env"]
        self.process = subprocess.Popen([*small, *command], stdin=-1, stdout=-1, text=True)
        self.is_mounted = json.loads(self.process.stdout.readline())["mounted"]

    def ask(self, writer, mode, most=None):
        """What a fault at every step, or at so many of them, did to the writer."""
        self.process.stdin.write(json.dumps({"writer": writer, "mode": mode, "most": most}) + "\n")
        self.process.stdin.flush()
        return json.loads(self.process.stdout.readline())

    def close(self):
        self.process.stdin.close()
        self.process.wait(60)
        self.process.stdout.close()


def may_mount(folder):
    if shutil.which("unshare") is None:
        return False
    (folder / "trial").mkdir()
    return subprocess.run([*MOUNT, folder / "trial", "true"], capture_output=True).returncode == 0


@pytest.fixture(scope="session")
def disk(tmp_path_factory):
    folder = tmp_path_factory.mktemp("disk")
    compiler = shutil.which("cc")
    if sys.platform != "linux" or compiler is None:
        pytest.skip("faults stand before the C library of Linux, and a C compiler makes them")
    shim = folder / "faults.so"
    subprocess.run([compiler, "-shared", "-fPIC", "-O1", "-o", shim, HERE / "faults.c", "-ldl"], check=True)
    disk = Disk(folder, shim)
    yield disk
    disk.close()


@pytest.fixture
def tally(request):
    """Counts what a test has done, for the report."""

    def count(what, number=1):
        request.node.user_properties.append(("trust", (what, number)))

    return count


def pytest_terminal_summary(terminalreporter):
    counts, writers = Counter(), set()
    for report in terminalreporter.stats.get("passed", []):
        for name, value in report.user_properties if report.when == "call" else []:
            if name == "trust":
                counts[value[0]] += value[1]
            if name == "writer":
                writers.add(value)
    if counts:
        failed = len(terminalreporter.stats.get("failed", []))
        terminalreporter.section("trust")
        terminalreporter.line(f"writers of files              {len(writers)}")
        for what, number in sorted(counts.items()):
            terminalreporter.line(f"{what:<28}  {number}")
        terminalreporter.line("all survived" if not failed else f"{failed} tests failed: see above")
