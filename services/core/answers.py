"""The answer to a question: prediction, raw map, and what it takes to know how far the map can be trusted."""

import platform
import warnings
from collections.abc import Mapping
from dataclasses import dataclass
from inspect import signature
from math import isfinite
from time import perf_counter
from typing import Any, NamedTuple

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

import xnb
from services.core.controls import measure_controls
from services.core.knobs import takes_seed
from services.core.models import ServedModel
from services.core.pictures import Picture, decode_picture
from services.core.questions import Question
from services.core.refusals import hand_on_refusal, require
from services.core.trials import Trials
from xnb.access.baselines import expand_baseline
from xnb.access.ledger import Passes
from xnb.access.score import logits, score
from xnb.access.targets import predict_class
from xnb.check import PromiseWarning
from xnb.methods import METHODS
from xnb.metrics.output_units import convert_output
from xnb.progress import hide_progress

_BEST = 5  # classes that are named
NOT_SHOWN = (
    "A map says what moved this model for this picture and class. It does not say that the prediction is right, what "
    "the model would do with another picture, or that a person would give the same reason."
)


@dataclass(frozen=True)
class Answer:
    """What was found: facts that become JSON, and the arrays among them.

    Attributes:
        map: raw and signed, as the method returns it, `(C, H, W)` or `(1, H, W)`.
        seen: the picture as the model saw it, `(C, H, W)` in [0, 1].
    """

    facts: Mapping[str, Any]
    logits: NDArray[np.float32]
    map: NDArray[np.float32]
    seen: NDArray[np.float32]


def explain_picture(served: ServedModel, picture: Picture, question: Question, trials: Trials) -> Answer:
    """Decode the picture, run the model and the method, and measure what the map promises and beats.

    Raises:
        Refusal: 400, a damaged file; 422, a class that the model does not have, a method that refuses it, or too dear.
    """
    start = perf_counter()
    x = _read_input(served, picture)
    with warnings.catch_warnings(), hide_progress():
        warnings.simplefilter("ignore", PromiseWarning)  # the answer itself says what is broken
        output = predict(served, x)
        target = _choose_class(output.classes, question.target)
        verdict = trials.check(served, x, target, question)
        knobs = dict(question.knobs)
        if takes_seed(question.method):
            knobs["seed"] = question.seed
        try:
            found = xnb.explain(served.model, x, target, question.method, knobs={question.method: knobs})
        except ValueError as error:
            hand_on_refusal(error, 422, "method=gradient")
        a = found[question.method]
        controls, passes = measure_controls(served.model, x, target, a, question.seed, served.unit)
        baseline_output = _score_baseline(served, x, target, question)
    facts = {
        "model": {"name": served.name, "sha256": served.sha256, "parameters": served.parameters},
        "picture": _describe_picture(picture, x),
        "method": {"name": question.method, "knobs": knobs, "paper": METHODS.cards[question.method].paper},
        "seed": question.seed,
        "target": _describe_class(served, output, int(target)),
        "predicted": describe_best(served, output),
        "baseline_output": baseline_output,
        **_describe_promises(found.ledger.loc[question.method]),
        "controls": controls,
        "lint": verdict,
        "passes": _list_passes(found.ledger, question.method, passes),
        "not_shown": NOT_SHOWN,
        "versions": list_versions(),
        "seconds": round(perf_counter() - start, 3),
    }
    return Answer(facts, _to_array(output.logits), _to_array(a), _to_array(x))


def predict_picture(served: ServedModel, picture: Picture) -> dict[str, Any]:
    """The logits of a picture, and its best classes."""
    x = _read_input(served, picture)
    output = predict(served, x)
    facts = {"model": {"name": served.name, "sha256": served.sha256}, "picture": _describe_picture(picture, x)}
    return {
        **facts,
        "predicted": describe_best(served, output),
        "logits": _to_array(output.logits).tolist(),
        "versions": list_versions(),
    }


def _read_input(served: ServedModel, picture: Picture) -> Tensor:
    return served.read(decode_picture(picture))


class Output(NamedTuple):
    """What a model returns for an input.

    Attributes:
        logits: as they are.
        classes: the logit of each class, -z and z of one logit z.
        probabilities: of each class, in the unit of the model.
    """

    logits: Tensor
    classes: Tensor
    probabilities: Tensor


def predict(served: ServedModel, x: Tensor) -> Output:
    """Logits and probabilities of an input."""
    try:
        out = logits(served.model, x).detach()
        # of the predicted class, so that nothing is refused for the sake of a class
        convert = convert_output(served.unit, served.model, x, predict_class(out))
        with torch.no_grad():
            probabilities = convert(x)
    except ValueError as error:
        hand_on_refusal(error, 422, "another picture")
    classes = torch.cat([-out, out], 1) if out.shape[1] == 1 else out
    return Output(out, classes, probabilities)


def _choose_class(classes: Tensor, asked: int | None) -> Tensor:
    """The class that is asked for, or the one with the largest logit."""
    count = classes.shape[1]
    index = int(classes.argmax()) if asked is None else asked
    require(index < count, 422, f"target: the model has {count} classes", index, f"target={count - 1}")
    return torch.tensor([index])


def _describe_picture(picture: Picture, x: Tensor) -> dict[str, Any]:
    return {
        "kind": picture.kind,
        "width": picture.width,
        "height": picture.height,
        "sha256": picture.sha256,
        "seen": list(x.shape[1:]),
    }


def _describe_class(served: ServedModel, output: Output, index: int) -> dict[str, Any]:
    return {
        "index": index,
        "name": served.classes[index] if index < len(served.classes) else str(index),
        "logit": float(output.classes[0, index]),
        "probability": float(output.probabilities[0, index]),
    }


def describe_best(served: ServedModel, output: Output) -> list[dict[str, Any]]:
    """The classes with the largest logits, the first first."""
    best = output.classes[0].argsort(descending=True, stable=True)[:_BEST]
    return [_describe_class(served, output, int(index)) for index in best]


def _describe_promises(row: Any) -> dict[str, Any]:
    """What was measured of what the method promises; null where it promises nothing of the kind."""
    measured = {name: _finite(row[name]) for name in ("gap", "conserved", "standard_error")}
    broken = [text for text in row["broken"].split("; ") if text]
    return {**measured, "broken": broken, "layer": row["layer"] or None}


def _finite(value: float) -> float | None:
    return float(value) if isfinite(value) else None


def _score_baseline(served: ServedModel, x: Tensor, target: Tensor, question: Question) -> float | None:
    """The logit of the class at the baseline, where the method has one."""
    parameter = signature(METHODS[question.method]).parameters.get("baseline")
    if parameter is None:
        return None
    start = expand_baseline(question.knobs.get("baseline", parameter.default), x, served.model)
    return float(score(served.model, start, target))


def _list_passes(ledger: Any, method: str, controls: Passes) -> dict[str, dict[str, int]]:
    """Passes of the model, forward and backward: of the method, of what is checked, of controls."""
    rows = {"method": ledger.loc[method], "checks": ledger.loc["shared"], "controls": controls}
    return {name: {"forward": int(row.forward), "backward": int(row.backward)} for name, row in rows.items()}


def list_versions() -> dict[str, str]:
    """Versions of what made the numbers."""
    return {"xnb": xnb.__version__, "torch": torch.__version__, "python": platform.python_version()}


def _to_array(values: Tensor) -> NDArray[np.float32]:
    return values[0].detach().cpu().float().numpy()
