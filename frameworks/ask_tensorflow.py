"""Ask the side that runs TensorFlow: arrays go there in a file, and its answer comes back in files."""

import json
import os
import subprocess
import tempfile
from collections.abc import Mapping
from pathlib import Path
from typing import NamedTuple

import numpy as np

from xnb import folders
from xnb.check import require

PYTHON = folders.ROOT / ".venv-tensorflow" / "bin" / "python"
INSTALLED = folders.ROOT / ".venv-tensorflow" / "installed"  # written last, by `make`


class Answer(NamedTuple):
    """What came back: arrays, and facts that are no arrays."""

    arrays: dict[str, np.ndarray]
    facts: dict


def is_installed() -> bool:
    """Whether the other environment is there, and whole."""
    return INSTALLED.exists()


def ask(task: str, question: Mapping[str, np.ndarray]) -> Answer:
    """The answer of a new process in the other environment.

    Raises:
        ValueError: that environment is not installed, or its process failed; `got:` has its last words.
    """
    require(is_installed(), "tensorflow: its environment must be installed", "no .venv-tensorflow", "make tensorflow")
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        np.savez(folder / "question.npz", **question)
        files = [str(folder / "question.npz"), str(folder / "answer.npz")]
        command = [str(PYTHON), "-m", "frameworks.tensorflow_side", task, *files]
        done = subprocess.run(command, cwd=folders.ROOT, env=choose_environment(), capture_output=True, text=True)
        last = (done.stderr.strip().splitlines() or [""])[-1]
        require(done.returncode == 0, f"tensorflow: its process ended with {done.returncode}", last, "make tensorflow")
        return read_answer(folder)


def choose_environment() -> dict[str, str]:
    """Variables of the other process: TensorFlow below Keras, one thread of a processor, and no greetings."""
    backend = {"KERAS_BACKEND": "tensorflow", "TF_CPP_MIN_LOG_LEVEL": "3", "CUDA_VISIBLE_DEVICES": ""}
    threads = ("OMP_NUM_THREADS", "TF_NUM_INTRAOP_THREADS", "TF_NUM_INTEROP_THREADS")
    return os.environ | backend | dict.fromkeys(threads, "1")


def read_answer(folder: Path) -> Answer:
    """What the other process left in the folder."""
    with np.load(folder / "answer.npz") as file:
        arrays = dict(file)
    facts = json.loads((folder / "answer.json").read_text())
    if (folder / "events").exists():
        facts["events"] = read_events(folder / "events")
    return Answer(arrays, facts)


def read_events(folder: Path) -> dict[str, object]:
    """Tags of event files by kind, and the values of the scalar "loss", whoever wrote them."""
    from tensorboard.backend.event_processing.event_accumulator import EventAccumulator
    from tensorboard.util.tensor_util import make_ndarray

    events = EventAccumulator(str(folder), size_guidance={"scalars": 0, "tensors": 0}).Reload()
    tags = events.Tags()
    if "loss" in tags["scalars"]:
        losses = [event.value for event in events.Scalars("loss")]
    else:  # as TensorFlow 2 writes them
        losses = [float(make_ndarray(event.tensor_proto)) for event in events.Tensors("loss")]
    kinds = {kind: names for kind, names in tags.items() if names}
    return {"kinds": kinds, "losses": losses}
