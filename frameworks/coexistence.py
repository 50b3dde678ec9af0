"""TensorFlow and PyTorch in one process: tried in processes of their own, as some of them are ended by the system.

Both libraries, and Triton, which default PyTorch brings on Linux, carry a compiler (LLVM) of their own, and two of
these in one process can collide. It has been reported since 2017 (tensorflow#62678, pytorch#90166).
"""

import subprocess
import sys
from importlib.metadata import PackageNotFoundError, version

from frameworks.ask_tensorflow import PYTHON, choose_environment
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


TRIES = 3


def try_orders() -> dict[str, list[int]]:
    """Exit codes of each order in this Python, with the other environment's TensorFlow behind its own packages.

    0 is well; a negative number is the signal that ended the process: -6 abort, -11 segmentation fault.
    """
    (site,) = PYTHON.parents[1].glob("lib/python*/site-packages")
    start = ["import sys", f"sys.path.append({str(site)!r})"]
    return {name: [run_lines([*start, *lines]) for _ in range(TRIES)] for name, lines in ORDERS.items()}


def run_lines(lines: list[str]) -> int:
    """Exit code of a process that runs these lines."""
    command = [sys.executable, "-c", "\n".join(lines)]
    environment = choose_environment()
    return subprocess.run(command, cwd=folders.ROOT, env=environment, capture_output=True, timeout=600).returncode


def name_triton() -> str:
    """Version of Triton beside PyTorch, or "none"."""
    try:
        return version("triton")
    except PackageNotFoundError:
        return "none"
