"""What notebook 12 measures: how far the sides are apart, what a mistake does, which tool finds which bug."""

import warnings
from collections.abc import Iterable, Mapping

import numpy as np
import pandas as pd
import torch
from scipy.stats import spearmanr
from torch import Tensor, nn

import xnb
from frameworks import record, source, torch_side
from frameworks.ask_tensorflow import Answer
from xnb.types import Attribution, Batch, Target

METHODS = {"gradient": "gradient", "integrated gradients": "integrated_gradients", "Grad-CAM": "grad_cam"}
_TASKS = {
    "gradient": ["gradient", "gradient"],
    "integrated gradients": ["integrated_gradients", "follow_path"],
    "Grad-CAM": ["grad_cam", "grad_cam"],
    "dead units": ["find_dead_units", "find_dead_units"],
    "bad operation": ["find_bad_operation", "find_bad_operation"],
    "label shift": ["find_label_shift", "find_label_shift"],
    "event files": ["write_events", "write_events"],
    "list of operations": ["list_operations", "list_operations"],
}


def attribute_quietly(model: nn.Module, x: Batch, target: Target, method: str, **knobs: object) -> Attribution:
    """A map without the warning that a promise is broken: it is broken on all sides alike."""
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", message=".*the map does not keep|.*class activation map")
        return xnb.attribute(model, x, target, method, **knobs)


def explain_keras(model: nn.Module, name: str, what: str) -> Tensor:
    """Logits of the Keras network of that name, or its map by `xnb`."""
    part = torch_side.load_inputs(name, record.COUNT)
    if what == "logits":
        return model(part.x).detach()
    knobs: dict[str, dict] = {"gradient": {}, "Grad-CAM": {"layer": "layers.relu3"}}
    knobs["integrated gradients"] = {"baseline": torch_side.BASELINES[name], "steps": 64}
    return attribute_quietly(model, part.x, part.y, METHODS[what], **knobs[what])


def list_differences(keras_nets: Mapping[str, nn.Module], recorded: Answer) -> pd.DataFrame:
    """Largest difference from PyTorch of each answer, in single precision."""
    rows = {}
    for name, model in keras_nets.items():
        for what, mine in torch_side.explain(name, record.COUNT).items():
            live = explain_keras(model, name, what).numpy()
            stored = recorded.arrays[f"explain/float32/{name}/{what}"]
            rows[name, what] = [np.abs(theirs - mine.numpy()).max() for theirs in (live, stored)]
    return pd.DataFrame(rows, index=["Keras on PyTorch", "TensorFlow (recorded)"]).T


def measure_distance(a: Tensor, b: Tensor) -> float:
    """Largest difference, in units of the largest value of `b`."""
    return float((a - b).abs().max() / b.abs().max())


def compare_methods(keras: nn.Module, own: nn.Module, x: Batch, y: Target, methods: Iterable[str]) -> dict[str, float]:
    """Distance of each method's maps of the Keras network from those of its twin, the largest first."""
    is_cam = xnb.catalog().set_index("method")["family"] == "cam"
    distances = {}
    for name in methods:
        mine, theirs = ({"layer": layer} if is_cam[name] else {} for layer in ("relu3", "layers.relu3"))
        maps = attribute_quietly(keras, x, y, name, **theirs)
        distances[name] = measure_distance(maps, attribute_quietly(own, x, y, name, **mine))
    return dict(sorted(distances.items(), key=lambda pair: -pair[1]))


def judge_conversion(model: nn.Module, right: nn.Module) -> dict[str, float]:
    """What a conversion does to logits and classes of 500 test pictures, and to the maps of six."""
    many = torch_side.load_inputs("cnn", 500)
    few = many[: record.COUNT]
    logits, expected = (net(many.x).detach() for net in (model, right))
    maps, wanted = (torch_side.integrated_gradients(net, few.x, few.y, 0.5).sum(1) for net in (model, right))
    classes = logits.argmax(1)
    ranks = [spearmanr(a.flatten(), b.flatten()).statistic for a, b in zip(maps, wanted, strict=True)]
    return {
        "largest change of a logit": float((logits - expected).abs().max()),
        "accuracy, %": 100 * float((classes == many.y).float().mean()),
        "classes changed, %": 100 * float((classes != expected.argmax(1)).float().mean()),
        "change of the map, share of its size": float((maps - wanted).norm() / wanted.norm()),
        "rank correlation with the right map": float(np.mean(ranks)),
    }


def measure_kinks(x: Batch, steps: int = 64) -> list[float]:
    """For each picture, how near to zero the input of any ReLU comes on the path of integrated gradients."""
    net = torch_side.load("cnn").double()
    nodes = (torch.from_numpy(np.polynomial.legendre.leggauss(steps)[0]) + 1) / 2
    nearest = []
    for picture in x.double():
        path = 0.5 + nodes.view(-1, 1, 1, 1) * (picture - 0.5)
        norms = ("norm1", "norm2", "norm3")
        with torch.no_grad(), xnb.access.hooks.capture_outputs(net, *norms) as outputs:
            net(path)
        nearest.append(min(float(values.abs().min()) for values in outputs.values()))
    return nearest


def name_finds(facts: dict) -> dict[str, bool]:
    """Which of the tools report something."""
    dead = max(facts["dead"].values()) > 0.5
    return {"dead units": dead, "bad operation": facts["bad operation"] != "", "label shift": facts["label shift"] != 0}


def rank_maps(maps: Attribution, others: Attribution, x: Batch) -> float:
    """Mean rank correlation of two networks' maps, over the pixels that are not black."""
    triples = zip(maps, others, x > 0, strict=True)
    return float(np.mean([spearmanr(a[ink], b[ink]).statistic for a, b, ink in triples]))


def count_lines() -> pd.DataFrame:
    """Lines of each task, as users of each side write it."""
    explaining = ("torch_side.py", "explain_tensorflow.py")
    debugging = ("debugging_torch.py", "debugging_tensorflow.py")
    counts = {}
    for task, names in _TASKS.items():
        files = explaining if task in METHODS else debugging
        counts[task] = [source.count_lines(file, name) for file, name in zip(files, names, strict=True)]
    return pd.DataFrame(counts, index=["PyTorch", "TensorFlow"]).T
