"""The same explanations as a user of TensorFlow writes them, in a process and an environment of their own.

`python -m frameworks.tensorflow_side TASK QUESTION ANSWER` reads arrays from QUESTION (npz) and writes ANSWER (npz)
and, beside it, what is no array (json) and event files. It imports nothing of PyTorch, and nothing of `xnb`.
"""

import json
import platform
import sys
from collections.abc import Callable
from importlib.metadata import version
from pathlib import Path

import keras
import numpy as np
import tensorflow as tf

from frameworks import debugging_tensorflow, timing_tensorflow
from frameworks.convert import MISTAKES, Conversion, convert_pictures, restore_pictures
from frameworks.explain_tensorflow import grad_cam, gradient, integrated_gradients
from frameworks.keras_networks import carry_over

Arrays = dict[str, np.ndarray]
Task = Callable[[Arrays, Path], tuple[Arrays, dict]]
BASELINES = {"mlp": 0.0, "cnn": 0.5}


def explain(question: Arrays, folder: Path) -> tuple[Arrays, dict]:
    """Logits and maps of both networks, in single and in double precision."""
    answer = {}
    for dtype in ("float32", "float64"):
        for name in ("mlp", "cnn"):
            for what, array in explain_network(name, question, Conversion(), dtype).items():
                answer[f"{dtype}/{name}/{what}"] = array
    return answer, {}


def explain_mistakes(question: Arrays, folder: Path) -> tuple[Arrays, dict]:
    """Logits of the convolutional network carried over with one mistake each, and maps summed over channels."""
    answer = {}
    for mistake, conversion in MISTAKES.items():
        found = explain_network("cnn", question, conversion)
        answer[f"{mistake}/logits"] = found["logits"]
        answer[f"{mistake}/integrated gradients"] = found["integrated gradients"].sum(1, keepdims=True)
    return answer, {}


def explain_network(name: str, question: Arrays, conversion: Conversion, dtype: str = "float32") -> Arrays:
    """Logits and maps of one network, the maps with their axes as in PyTorch."""
    model = carry_over(name, read_state(name, question), conversion, dtype)
    x = tf.constant(convert_pictures(question[f"{name}/x"], conversion).astype(dtype))
    target = tf.constant(question[f"{name}/target"])
    maps = {"gradient": gradient(model, x, target)}
    maps["integrated gradients"] = integrated_gradients(model, x, target, BASELINES[name])
    if name == "cnn":
        maps["Grad-CAM"] = grad_cam(model, x, target)
    answer = {what: restore_pictures(a.numpy(), conversion) for what, a in maps.items()}
    return answer | {"logits": model(x).numpy()}


def read_state(name: str, question: Arrays) -> Arrays:
    """The weights of that network, by their names in PyTorch."""
    start = f"{name}/state/"
    return {key.removeprefix(start): array for key, array in question.items() if key.startswith(start)}


def name_versions() -> dict[str, str]:
    """Who answered."""
    packages = ("tensorflow_cpu", "keras", "numpy")
    return {"python": platform.python_version()} | {name: version(name) for name in packages}


TASKS: dict[str, Task] = {
    "explain": explain,
    "mistakes": explain_mistakes,
    "debug": debugging_tensorflow.debug,
    "time": timing_tensorflow.measure,
}


def main(task: str, question: str, answer: str) -> None:
    """Answer one question."""
    keras.utils.set_random_seed(0)
    arrays, facts = TASKS[task](dict(np.load(question)), Path(answer).parent)
    np.savez(answer, **arrays)
    Path(answer).with_suffix(".json").write_text(json.dumps(facts | {"versions": name_versions()}))


if __name__ == "__main__":
    main(*sys.argv[1:])
