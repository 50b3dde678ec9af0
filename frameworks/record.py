"""`python -m frameworks.record` asks the side that runs TensorFlow everything, and stores its answers.

`recorded.npz` has inputs and arrays, `recorded.json` what else is known: versions, the date, the machine. The notebook
shows these, and tests hold them against a new run.
"""

import json
import os
import platform
from datetime import UTC, datetime
from importlib.metadata import version

import numpy as np
import torch

from frameworks import coexistence, timing_torch, torch_side
from frameworks.ask_tensorflow import Answer, ask
from xnb import data
from xnb.check import require
from xnb.folders import replace_file

ARRAYS = torch_side.FOLDER / "recorded.npz"
FACTS = torch_side.FOLDER / "recorded.json"
COUNT = 6  # inputs of each network
TOLERANCE = 1e-5


def read() -> Answer:
    """What is stored."""
    with np.load(ARRAYS) as file:
        arrays = dict(file)
    return Answer(arrays, json.loads(FACTS.read_text()))


def pose_explanations(count: int = COUNT) -> dict[str, np.ndarray]:
    """Weights, inputs and classes of both networks."""
    question = {}
    for name in torch_side.MAKERS:
        part = torch_side.load_inputs(name, count)
        for key, value in torch_side.load(name).state_dict().items():
            question[f"{name}/state/{key}"] = value.numpy()
        question |= {f"{name}/x": part.x.numpy(), f"{name}/target": part.y.numpy()}
    return question


def pose_bugs() -> dict[str, np.ndarray]:
    """Digits that bugs are planted in, flat."""
    split = data.digits()
    question = {"x": split.train.x.flatten(1), "y": split.train.y}
    question |= {"test x": split.test.x.flatten(1), "test y": split.test.y}
    return {name: tensor.numpy() for name, tensor in question.items()}


def ask_all() -> Answer:
    """Every task but timing: arrays by task, and facts."""
    question = pose_explanations()
    explained, mistaken = ask("explain", question), ask("mistakes", question)
    debugged = ask("debug", pose_bugs())
    arrays = {f"explain/{name}": array for name, array in explained.arrays.items()}
    arrays |= {f"mistakes/{name}": array for name, array in mistaken.arrays.items()}
    arrays |= debugged.arrays
    arrays |= {f"inputs/{name}": array for name, array in question.items() if "state" not in name}
    return Answer(arrays, explained.facts | debugged.facts)


def measure_parity(arrays: dict[str, np.ndarray], dtype: torch.dtype) -> dict[str, float]:
    """Largest difference of each answer from PyTorch's, both in that precision."""
    differences = {}
    for name in torch_side.MAKERS:
        for what, mine in torch_side.explain(name, COUNT, dtype).items():
            theirs = arrays[f"explain/{str(dtype).removeprefix('torch.')}/{name}/{what}"]
            differences[f"{name}, {what}"] = float(np.abs(theirs - mine.numpy()).max())
    return differences


def describe_machine() -> dict[str, object]:
    """Under which conditions times were taken."""
    return {
        "date": datetime.now(UTC).date().isoformat(),
        "processor": platform.machine(),
        "cores": len(os.sched_getaffinity(0)),
        "threads": 1,
        "load before": round(os.getloadavg()[0], 2),
        "torch": torch.__version__,
        "triton": coexistence.name_triton(),
        "keras on PyTorch": version("keras"),
    }


def write(answer: Answer) -> None:
    """Store arrays and facts, each file whole or not at all."""
    with replace_file(ARRAYS) as draft, draft.open("wb") as file:
        np.savez_compressed(file, **answer.arrays)
    with replace_file(FACTS) as draft:
        draft.write_text(json.dumps(answer.facts, indent=1) + "\n")


def main() -> None:
    """Ask, compare, store."""
    facts = {"machine": describe_machine()}
    timing = ask("time", pose_explanations(16))
    facts["seconds"] = timing_torch.measure(torch_side.load_inputs("cnn", 16)) | timing.facts["seconds"]
    facts["one process"] = coexistence.try_orders()
    answer = ask_all()
    differences = measure_parity(answer.arrays, torch.float64)
    rule = f"record: TensorFlow must agree with PyTorch to {TOLERANCE}"
    require(max(differences.values()) < TOLERANCE, rule, differences)
    write(Answer(answer.arrays, facts | answer.facts))


if __name__ == "__main__":
    main()
