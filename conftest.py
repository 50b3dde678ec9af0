"""The notebook gate: what nbval does not do by itself.

nbval runs every code cell of notebooks/ and compares what comes out with what is stored, text by text.
Here decimal numbers get a tolerance and figures a folder of their own; tests/repository/test_notebooks.py, which
then runs last, compares those figures and counts how many cells were really compared.
"""

import math
import os
import re
import tempfile

import pytest
from nbval.plugin import IPyNbCell

# Sums in one order, here and in kernels, and no progress bar where a machine is slow: the same digits and outputs.
os.environ.update(OMP_NUM_THREADS="1", MKL_NUM_THREADS="1", XNB_PATIENCE="inf")
os.environ.pop("MPLBACKEND", None)  # kernels inherit it, and their figures would not reach the notebook

# a sign may take the place of a blank; "37002." at the end of a sentence is a whole number
DECIMAL = re.compile(r" ?[-+]?(?:\d*\.\d+(?:[eE][-+]?\d+)?|\d+\.?[eE][-+]?\d+)")


def agree(stored: str, fresh: str) -> bool:
    """The same text but for decimal numbers, which may differ by 0.1 %, or by 1e-6 around zero.

    Weights that are loaded give the same logits to 1e-6 on every processor: 0.1 % is what rounding to
    three or four printed digits makes of that. Whole numbers and words must be equal.
    """
    pairs = zip(DECIMAL.findall(stored), DECIMAL.findall(fresh), strict=False)
    near = all(math.isclose(float(a), float(b), rel_tol=1e-3, abs_tol=1e-6) for a, b in pairs)
    return near and DECIMAL.sub("#", stored) == DECIMAL.sub("#", fresh)


class Output(str):
    """Text of a cell, compared by `agree`."""

    def __eq__(self, other: object) -> bool:
        return isinstance(other, str) and agree(str(self), str(other))

    def __ne__(self, other: object) -> bool:
        return not self == other

    __hash__ = str.__hash__


def pytest_configure(config):
    """Kernels write their figures to a new folder, never over the committed ones."""
    config.addinivalue_line("markers", "slow: takes minutes; -m 'not slow' leaves it out")
    fresh = tempfile.TemporaryDirectory(prefix="xnb-figures-")
    os.environ["XNB_FIGURES"] = fresh.name
    config.add_cleanup(fresh.cleanup)


def pytest_itemcollected(item):
    """What `sanitize` returns is compared with `!=` by nbval: the one place where a tolerance fits in."""
    if isinstance(item, IPyNbCell):
        exact = item.sanitize
        item.sanitize = lambda value: Output(exact(value)) if isinstance(value, str) else value


@pytest.hookimpl(trylast=True)
def pytest_collection_modifyitems(items):
    items.sort(key=lambda item: item.path.name == "test_notebooks.py")


def pytest_terminal_summary(terminalreporter):
    """Print what a test recorded under the name "gate"."""
    for report in terminalreporter.getreports("passed") + terminalreporter.getreports("failed"):
        for name, value in getattr(report, "user_properties", []):
            if name == "gate" and report.when == "call":
                terminalreporter.write_line(f"gate: {value}")


@pytest.fixture
def outputs_agree():
    return agree
