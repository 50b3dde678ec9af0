"""A run that dies as no process can refuse, at an input or halfway through a file; without that, the same run whole."""

import os
import signal
import sys
from pathlib import Path

import torch
from counted_methods import noted

import xnb
from xnb.data import Part

COUNT = 14


def run(path, log, dies_at=0):
    """Seven blocks of two inputs; the process dies when that line is due in the log."""
    torch.set_num_threads(1)
    x = torch.arange(COUNT * 18.0).view(COUNT, 2, 3, 3) / 100
    model = torch.nn.Sequential(torch.nn.Flatten(), torch.nn.Linear(18, 3)).eval()
    torch.nn.init.ones_(model[1].weight)
    torch.nn.init.zeros_(model[1].bias)

    def method(model, x, target):
        return noted(model, x, target, log=log, dies_at=dies_at)

    return xnb.attribute_data(model, Part(x, torch.arange(COUNT) % 3), method, path, batch=2)


def die_writing(number):
    """Let the process die halfway through the file of that number."""
    plain, files = Path.write_bytes, []

    def write_bytes(path, content):
        files.append(path)
        if len(files) == number:
            plain(path, content[: len(content) // 2])
            os.kill(os.getpid(), signal.SIGKILL)
        return plain(path, content)

    Path.write_bytes = write_bytes


if __name__ == "__main__":
    import killed_run  # by its name, as in the test: functions are known again by their module

    path, log, dies_at, dies_writing = sys.argv[1:]
    die_writing(int(dies_writing))
    killed_run.run(Path(path), log, int(dies_at))
