"""What a model returned in place of logits, and the line that makes logits of it."""

from collections.abc import Iterable, Mapping
from typing import NoReturn

import numpy as np
import torch
from torch import Tensor

from xnb.check import refuse
from xnb.types import Batch, Model


def is_logits(out: object, x: Batch) -> bool:
    """Whether an output is floats `(B, K)` of at least one class."""
    if not isinstance(out, Tensor) or out.ndim != 2:
        return False
    return len(out) == len(x) and out.shape[1] > 0 and out.is_floating_point()


def refuse_output(model: Model, out: object, x: Batch) -> NoReturn:
    """Say which adapter makes logits `(B, K)` of what the model returned."""
    hint = _advise_on_tensor(out, x) if isinstance(out, Tensor) else _advise_on_object(model, out, x)
    refuse("score: model must return logits (B, K)", out, hint)


def _advise_on_tensor(out: Tensor, x: Batch) -> str:
    """The adapter for a tensor of another form."""
    if out.ndim == 0 or len(out) != len(x):
        return "xnb.attribute(lambda x: torch.cat([model(one).view(1, -1) for one in x.split(1)]), x, target)"
    if not out.is_floating_point():
        return _advise_on_integers(out)
    if out.ndim == 1:
        return "model = xnb.adapters.two_classes(model)  # one logit an input; of a regression: xnb.adapters.regression"
    if out.ndim == 3:
        return "model = xnb.adapters.step(model, 0)  # a step of (B, T, K); of (B, K, T): xnb.adapters.pixel(model, 0)"
    if out.ndim > 3:
        middle = ", ".join(str(size // 2) for size in out.shape[2:])
        return (
            f"model = xnb.adapters.pixel(model, {middle})  # or xnb.adapters.region(model, mask), its mean over a mask"
        )
    return "a model with a logit for each class"


def _advise_on_integers(out: Tensor) -> str:
    """The call for classes or counts: changes of the input still show in them, a gradient does not."""
    floats = "model(x).float()"
    if out.ndim == 1:
        floats = f"torch.nn.functional.one_hot(model(x), {int(out.max()) + 1}).float()"
    return f"xnb.attribute(lambda x: {floats}, x, target, 'feature_ablation')  # better: the logits they come from"


def _advise_on_object(model: Model, out: object, x: Batch) -> str:
    """The line to try where a model returned no tensor."""
    if isinstance(out, np.ndarray):
        if runs_on_arrays(model, x):
            return "model = xnb.adapters.from_numpy(model)"
        return "xnb.attribute(lambda x: torch.as_tensor(model(x)), x, target, 'feature_ablation')"
    if isinstance(out, list) and out and isinstance(out[0], Mapping) and "boxes" in out[0]:
        return "model = xnb.adapters.box(model, (0, 0, 32, 32), 1)  # the box nearest to a place, of one label"
    if not _holds_floats(out):
        return "return the logits from the model's forward"
    return "model = xnb.adapters.logits(model)  # of a dict, a tuple, an output with .logits"


def _holds_floats(out: object) -> bool:
    """Whether something in an output may be logits."""
    entries = out if isinstance(out, list | tuple) else getattr(out, "__dict__", out)
    values = entries.values() if isinstance(entries, Mapping) else entries
    parts = list(values) if isinstance(values, Iterable) else []
    return any(isinstance(part, Tensor) and part.is_floating_point() for part in parts)


def runs_on_arrays(model: Model, x: Batch) -> bool:
    """Whether the model is a function of arrays that returns an array with a row for each input."""
    try:
        with torch.no_grad():
            out = model(x.detach().clone().cpu().double().numpy())  # type: ignore[arg-type]
    except Exception:  # whatever it is, the function wants no arrays
        return False
    return isinstance(out, np.ndarray) and out.shape[:1] == x.shape[:1]
