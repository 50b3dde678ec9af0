"""Methods of one's own that note how often they run, for processes of the tests."""

import os
import signal
from pathlib import Path

import torch


def count_lines(path):
    return len(Path(path).read_text().splitlines()) if Path(path).exists() else 0


def noted(model, x, target, *, log, dies_at=0):
    """The input times the class, a line in `log` for each input; the process dies at a line of that number."""
    for _ in range(len(x)):
        if count_lines(log) + 1 == dies_at:
            os.kill(os.getpid(), signal.SIGKILL)
        with Path(log).open("a") as file:
            file.write(".\n")
    return x * (target.view(-1, 1, 1, 1) + 1)


def zeros(model, x, target):
    return torch.zeros_like(x)
