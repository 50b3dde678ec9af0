"""The notebook gate, and how tests are shared among cores.

nbval runs every code cell of notebooks/ and compares what comes out with what is stored, text by text. Here decimal
numbers get a tolerance, and the figures of each notebook a folder of their own; tests/repository/test_notebooks.py
compares those, right after the notebook's last cell, and counts how many cells were really compared.

`make test` runs as many processes as there are cores (pytest -n auto). What belongs together stays in one of them: a
notebook with its figures, the pages of widgets, a file with its fixtures.
"""

import json
import math
import os
import re
import tempfile
from functools import cache, partial
from pathlib import Path

import pytest
from nbval.plugin import IPyNbCell, IPyNbFile
from xdist.scheduler import LoadScopeScheduling

ROOT = Path(__file__).parent
# Sums in one order, here and in kernels, and no progress bar where a machine is slow: the same digits and outputs.
os.environ.update(OMP_NUM_THREADS="1", MKL_NUM_THREADS="1", XNB_PATIENCE="inf")
os.environ.pop("MPLBACKEND", None)  # kernels inherit it, and their figures would not reach the notebook

# Seconds that nbval waits for the outputs of a cell that has ended. The limits of a kernel's start and of a cell are
# in pyproject.toml. None measures anything: on a busy machine only what hangs for good meets them.
PATIENCE = 600
# a sign may take the place of a blank; "37002." at the end of a sentence is a whole number
DECIMAL = re.compile(r"(?P<p>\bp)? ?(?P<value>[-+]?(?:\d*\.\d+(?:[eE][-+]?\d+)?|\d+\.?[eE][-+]?\d+))")
NOTEBOOK = re.compile(r"^notebooks/(\d\d)_|test_(?:browser_)?notebooks\.py::.*\[(\d\d)_")
FIGURE = re.compile(r"test_notebooks\.py::.*\[(fig-\d\d-\d+)\]")
BROWSER = "tests/browser"
SERVICES = "tests/services"  # two services run for all of its files
SITE = "tests/site"  # the web site is built for all of its files
# Files that take long, the longest first: a long one that begins last would keep one core busy and leave the others.
SLOW = (
    "test_gate",
    "test_contract",
    "site",
    "test_rows",
    "test_sweep",
    "test_runner",
    "test_elastic",
    "test_checkpoints",
    "test_loop",
)


def agree(stored: str, fresh: str) -> bool:
    """Whether texts are the same but for decimal numbers, which may differ by 0.1 %, or by 1e-6 around zero.

    Weights that are loaded give the same logits to 1e-6 on every processor: 0.1 % is what rounding to
    three or four printed digits makes of that. A p-value, "p 0.14", may differ by 0.01: it moves more than the mean
    that it is of, and the verdict stands beside it in words. Whole numbers and words must be equal.
    """
    pairs = zip(DECIMAL.finditer(stored), DECIMAL.finditer(fresh), strict=False)
    close = all(
        math.isclose(float(a["value"]), float(b["value"]), rel_tol=1e-3, abs_tol=0.0101 if a["p"] else 1e-6)
        for a, b in pairs
    )
    return close and DECIMAL.sub("#", stored) == DECIMAL.sub("#", fresh)


class Output(str):
    """Text of a cell, compared by `agree`."""

    def __eq__(self, other: object) -> bool:
        return isinstance(other, str) and agree(str(self), str(other))

    def __ne__(self, other: object) -> bool:
        return not self == other

    __hash__ = str.__hash__


def pytest_configure(config: pytest.Config) -> None:
    """Make a new folder for figures, so that kernels never write over the committed ones.

    The first process makes it; those that it starts inherit its name.
    """
    config.recorded = {}
    config.addinivalue_line("markers", "slow: takes minutes; -m 'not slow' leaves it out")
    # small nets of the tests break promises all the time; a test of the warning asks for it by pytest.warns
    config.addinivalue_line("filterwarnings", "ignore::xnb.check.PromiseWarning")
    if not hasattr(config, "workerinput"):
        folder = tempfile.TemporaryDirectory(prefix="xnb-figures-")
        os.environ["XNB_FIGURES"] = os.environ["XNB_TEST_FIGURES"] = folder.name
        config.add_cleanup(folder.cleanup)


def pytest_itemcollected(item: pytest.Item) -> None:
    """Give comparisons their tolerance: nbval compares what `sanitize` returns with `!=`.

    Raises:
        pytest.UsageError: the test is named by an address: every process would have another name for it.
    """
    if " at 0x" in item.nodeid:
        raise pytest.UsageError(f"{item.nodeid}: give it a name by ids=")
    if isinstance(item, IPyNbCell):
        exact = item.sanitize
        item.sanitize = lambda value: Output(exact(value)) if isinstance(value, str) else value
        item.output_timeout = PATIENCE


@pytest.hookimpl(tryfirst=True)
def pytest_runtest_setup(item: pytest.Item) -> None:
    """Point a notebook's kernel, which its first cell is about to start, to a folder of its own.

    Where a browser has just run the notebook, the cells are not run again: what that kernel said is compared.
    """
    folder = Path(os.environ["XNB_TEST_FIGURES"])
    if isinstance(item, IPyNbCell):
        folder /= item.path.stem
        folder.mkdir(exist_ok=True)
        recorded = item.config.recorded.pop(item.path.stem, None)
        if recorded is not None:
            item.parent.setup = partial(use_kernel, item.parent, recorded)
    os.environ["XNB_FIGURES"] = str(folder)


def use_kernel(notebook: IPyNbFile, kernel: object) -> None:
    """Do what nbval's own `setup` does, but for starting a kernel."""
    notebook.kernel = kernel
    notebook.setup_sanitize_files()


@pytest.hookimpl(trylast=True)
def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Begin with what takes longest; a notebook's order is browser, cells, figures."""
    steps = {"test_browser_notebooks.py": 0, "test_notebooks.py": 2}
    table = ROOT / "collection" / "seconds.json"
    seconds = json.loads(table.read_text()) if table.exists() else {}

    def rank(item: pytest.Item) -> tuple[int, float, str]:
        group = group_of(item.nodeid)
        if group == BROWSER:
            return 0, 0.0, ""
        if group.isdigit():
            return 1, -seconds.get(group, math.inf), group
        stem = Path(group).stem
        return (2, SLOW.index(stem), "") if stem in SLOW else (3, 0.0, "")

    items.sort(key=lambda item: (rank(item), steps.get(item.path.name, 1)))


@cache
def list_figure_makers() -> dict[str, str]:
    """By the id of each figure the number of the notebook that makes it, which need not be that of its id."""
    makers = {}
    for path in sorted((ROOT / "notebooks").glob("*.ipynb")):
        for cell in json.loads(path.read_text())["cells"]:
            makers[cell.get("id", "")] = path.name[:2]
    return {id: number for id, number in makers.items() if id.startswith("fig-")}


def group_of(nodeid: str) -> str:
    """What has to run in one process: tests of the browser or the services, a notebook (its number), or else a file."""
    notebook = NOTEBOOK.search(nodeid)
    if notebook:
        return notebook[1] or notebook[2]
    figure = FIGURE.search(nodeid)
    if figure and figure[1] in list_figure_makers():
        return list_figure_makers()[figure[1]]
    rooms = [room for room in (BROWSER, SERVICES, SITE) if nodeid.startswith(room)]
    return rooms[0] if rooms else nodeid.split("::")[0]


class ByGroup(LoadScopeScheduling):
    """Give each free process the next group, in the order in which they are collected."""

    def _split_scope(self, nodeid: str) -> str:
        return group_of(nodeid)


def pytest_xdist_make_scheduler(config: pytest.Config, log: object) -> ByGroup:
    config.option.loadscopereorder = False  # would begin with the most tests, not with the longest
    return ByGroup(config, log)


def pytest_xdist_auto_num_workers() -> int:
    """One process a core that this one may use: pytest-xdist's own count leaves half of a hyper-threaded one's."""
    return len(os.sched_getaffinity(0))


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter) -> None:
    """Print what a test recorded under the name "gate"."""
    for report in terminalreporter.getreports("passed") + terminalreporter.getreports("failed"):
        for name, value in getattr(report, "user_properties", []):
            if name == "gate" and report.when == "call":
                terminalreporter.write_line(f"gate: {value}")


@pytest.fixture
def outputs_agree():
    return agree


@pytest.fixture
def group():
    return group_of
