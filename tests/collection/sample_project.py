"""A small collection: its notebooks run in real kernels and write their figures by hand, as torch takes seconds."""

import json
import os
import subprocess
import sys
from pathlib import Path

import nbformat
from nbformat.v4 import new_code_cell, new_notebook

from collection import jobs, runner

ROOT = Path(__file__).parents[2]
SETUP = """
import json, os, pathlib, time
with open("../log.txt", "a") as log: _ = log.write(pathlib.Path.cwd().name + NUMBER)
def savefig(id, text="numbers", folder=""):
    record = {"id": id, "notebook": NUMBER, "tolerance": 0.01, "data": {"text": text, "loss": 0.5}}
    for kind, content in (("json", json.dumps(record)), ("png", "a picture"), ("pdf", "a page")):
        path = pathlib.Path(os.environ["XNB_FIGURES"], folder, f"{id}.{kind}")
        path.parent.mkdir(exist_ok=True)
        _ = path.write_text(content)
"""


class Project:
    """A collection of its own below a temporary folder."""

    def __init__(self, root):
        self.root = root
        for name in ("notebooks", "figures", "xnb", "data/cache"):
            (root / name).mkdir(parents=True)
        self.tree = jobs.Tree(root)

    def notebook(self, name, **cells):
        setup = SETUP.replace("NUMBER", repr(name[:2]))
        parameters = new_code_cell('PROFILE = "quick"', id="parameters", metadata={"tags": ["parameters"]})
        others = [new_code_cell(source, id=id.replace("_", "-")) for id, source in cells.items()]
        book = new_notebook(cells=[parameters, new_code_cell(setup, id="setup"), *others])
        nbformat.write(book, self.root / "notebooks" / f"{name}.ipynb")

    def run(self, *arguments):
        return runner.main(arguments, self.tree)

    def start(self):
        """The same in a process of its own."""
        code = f"""
import sys
from pathlib import Path
from collection import jobs, runner
sys.exit(runner.main(["figures"], jobs.Tree(Path({str(self.root)!r}))))
"""
        environment = {**os.environ, "PYTHONPATH": str(ROOT)}
        return subprocess.Popen([sys.executable, "-c", code], env=environment, stderr=subprocess.PIPE, text=True)

    def ran(self):
        """Numbers of the notebooks that ran since the last call, sorted."""
        log = self.root / "log.txt"
        text = log.read_text() if log.exists() else ""
        log.unlink(missing_ok=True)
        return sorted(text.replace("notebooks", " ").split())

    def files(self, folder="build/figures"):
        top = self.root / folder
        return {str(path.relative_to(top)): path.read_bytes() for path in top.rglob("*") if path.is_file()}

    def figure(self, name):
        """Data of a figure of the last run."""
        return json.loads(self.files()[name])["data"]
