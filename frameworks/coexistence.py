"""TensorFlow and PyTorch in one process: tried in processes of their own, as some of them are ended by the system.

Both libraries, and Triton, which default PyTorch brings on Linux, carry a compiler (LLVM) of their own, and two of
these in one process can collide. It has been reported since 2017 (tensorflow#62678, pytorch#90166).
"""

import os
import subprocess
import sys
from importlib.metadata import PackageNotFoundError, version
from typing import TypedDict

from frameworks.ask_tensorflow import PYTHON
from xnb import folders

_STEP = "torch.optim.SGD([torch.nn.Parameter(torch.zeros(1))], lr=0.1)"
ORDERS = {
    "PyTorch, then TensorFlow, then an optimiser": ["import torch", "import tensorflow", _STEP],
    "TensorFlow, then PyTorch, then an optimiser": ["import tensorflow", "import torch", _STEP],
    "PyTorch with an optimiser, then TensorFlow": ["import torch", _STEP, "import tensorflow"],
    "both, and no more than a gradient": [
        "import torch",
        "import tensorflow",
        "torch.ones(1, requires_grad=True).sum().backward()",
    ],
}


class Outcome(TypedDict):
    """How a process ended: 0 is well, -6 abort, -11 segmentation fault."""

    exit_code: int
    last_words: str


def try_orders() -> dict[str, Outcome]:
    """How each order ends in this Python, with the other environment's TensorFlow behind its own packages."""
    (site,) = PYTHON.parents[1].glob("lib/python*/site-packages")
    quiet = os.environ | {"TF_CPP_MIN_LOG_LEVEL": "3"}
    outcomes = {}
    for name, lines in ORDERS.items():
        code = "\n".join(["import sys", f"sys.path.append({str(site)!r})", *lines])
        command = [sys.executable, "-c", code]
        done = subprocess.run(command, cwd=folders.ROOT, env=quiet, capture_output=True, text=True, timeout=600)
        words = [line for line in done.stderr.splitlines() if "LLVM" in line or "Error" in line]
        outcomes[name] = Outcome(exit_code=done.returncode, last_words=words[-1] if words else "")
    return outcomes


def name_triton() -> str:
    """Version of Triton beside PyTorch, or "none"."""
    try:
        return version("triton")
    except PackageNotFoundError:
        return "none"
