"""What tests of training over several processes ask: runs of one process, files, and processes of others."""

import os
import time
from pathlib import Path

import psutil
import torch

from xnb.storage import read_tensors
from xnb.training import Training, fit
from xnb.training.data_parallel import make_training

HERE = Path(__file__).parent
PATIENCE = 300  # seconds for what takes a few: nothing here measures time
# of processes that tests start themselves
ENVIRONMENT = os.environ | {
    "PYTHONPATH": os.pathsep.join([str(HERE), str(HERE.parents[1])]),
    "GLOO_SOCKET_IFNAME": "lo",
    "OMP_NUM_THREADS": "1",
}


def fit_alone(study, **knobs):
    """The model that `fit` trains of a study, and the table."""
    training = make_training(f"elastic_studies:{study}")
    optimizer = training.optimizer(training.model.parameters())
    names = ("epochs", "batch", "schedule", "objective", "augment")
    knobs |= {name: vars(training)[name] for name in names if vars(training)[name] != getattr(Training, name)}
    table = fit(training.model, training.train, training.valid, optimizer=optimizer, progress=False, **knobs)
    return training.model, table


def read_weights(folder, name="last.safetensors"):
    """Weights and states of the optimizer, by name."""
    return read_tensors(folder / name)[0]


def read_rows(folder):
    return read_tensors(folder / "last.safetensors")[1]["epochs"]


def largest_difference(model, stored):
    return max(float((value - stored[f"model.{name}"]).abs().max()) for name, value in model.state_dict().items())


def same_bits(a, b):
    return a.keys() == b.keys() and all(torch.equal(a[name], b[name]) for name in a)


def wait_until(holds):
    end = time.monotonic() + PATIENCE
    while not holds():
        assert time.monotonic() < end, "nothing happens"
        time.sleep(0.05)


def is_alive(process):
    try:
        return process.status() != psutil.STATUS_ZOMBIE
    except psutil.NoSuchProcess:
        return False
