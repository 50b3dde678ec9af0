"""Outputs of many forms as logits `(B, K)`: dictionaries, tuples, one number an input, a label of many, a contrast."""

from collections.abc import Mapping, Sequence
from dataclasses import is_dataclass
from typing import Any, NoReturn

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn import functional as F

from xnb.adapters.wrapping import ModelWithHead
from xnb.check import refuse, require
from xnb.types import Logits, Model

_KNOWN_NAMES = ("logits", "out")  # of Hugging Face, and of torchvision's GoogLeNet, Inception and segmentation networks


def logits(model: Model, key: str | int | None = None) -> ModelWithHead:
    """Return the model with its logits alone, of an output with names (`.logits`, "out") or in a tuple.

    Auxiliary heads are left out. Where nothing says which tensor holds the logits, the model is refused when it runs.

    Args:
        key: name or place of the logits; None looks for `logits`, `out`, or the only tensor that they can be.
    """
    return ModelWithHead(model, _Logits(key))


class _Logits(nn.Module):
    def __init__(self, key: str | int | None) -> None:
        super().__init__()
        self.key = key

    def forward(self, out: Any) -> Tensor:
        return find_logits(out, self.key)

    def extra_repr(self) -> str:
        return f"key={self.key!r}"


def find_logits(out: Any, key: str | int | None = None) -> Tensor:
    """The tensor of logits in what a model returned.

    Raises:
        ValueError: no entry `key`, or without a key several tensors of which none is called `logits` or `out`.
    """
    if isinstance(out, Tensor) and key is None:
        return out
    tensors = _index_tensors(out)
    if key is None:
        key = _find_key(out, tensors)
    if key is None or key not in tensors:
        _refuse_ambiguity(out, tensors)
    return tensors[key]


def _index_tensors(out: Any) -> dict[str | int, Tensor]:
    """The tensors of floats in an output, by name or by place."""
    entries: dict[Any, Any] = {}
    if isinstance(out, Mapping):
        entries = dict(out)
    elif hasattr(out, "_asdict"):
        entries = out._asdict()
    elif isinstance(out, Sequence):
        entries = dict(enumerate(out))
    elif is_dataclass(out) or hasattr(out, "logits"):
        entries = vars(out)
    return {key: value for key, value in entries.items() if isinstance(value, Tensor) and value.dtype.is_floating_point}


def _find_key(out: Any, tensors: dict[str | int, Tensor]) -> str | int | None:
    """Name or place of the logits, where only one can be meant."""
    for name in _KNOWN_NAMES:
        if name in tensors:
            return name
    candidates = list(tensors)
    if len(candidates) > 1 and isinstance(out, Sequence):
        # beside attention or hidden states (B, N, ...), logits are the one table
        candidates = [key for key, value in tensors.items() if value.ndim == 2]
    if len(candidates) == 1:
        return candidates[0]
    return None


def _refuse_ambiguity(out: Any, tensors: dict[str | int, Tensor]) -> NoReturn:
    """Refuse an output in which the logits may be several tensors, or none, with the line that names them."""
    if isinstance(out, np.ndarray):
        refuse("logits: a model of numpy arrays", out.shape, "model = xnb.adapters.from_numpy(model.model)")
    shapes = {key: tuple(value.shape) for key, value in tensors.items()}
    first = next(iter(tensors), None)
    hint = f"model = xnb.adapters.logits(model.model, key={first!r})"
    if first is None:
        hint = "return the logits from the model's forward"
    refuse("logits: the output must say which of its tensors are the logits", shapes or type(out).__name__, hint)


def two_classes(model: Model) -> ModelWithHead:
    """Return the model of one logit z an input, `(B,)` or `(B, 1)`, with two, -z/2 and z/2.

    Their softmax is the sigmoid of z: P(class 1) = sigmoid(z). Each class explains its own half: an attribution adds up
    to z/2, not to z, and class 0 has the negative of class 1. A model `(B, 1)` needs no adapter: its target 1 is z, its
    target 0 is -z.
    """
    return ModelWithHead(model, _TwoClasses())


class _TwoClasses(nn.Module):
    def forward(self, out: Any) -> Logits:
        z = _read_number(out, "two_classes")
        # a linear layer, and no product written as a function: rules know what to do with it
        return F.linear(z, torch.tensor([[-0.5], [0.5]], dtype=z.dtype, device=z.device))


def _read_number(out: Any, who: str) -> Logits:
    """What a model with one number an input returns, as `(B, 1)`."""
    z = find_logits(out)
    one = z.ndim == 1 or (z.ndim == 2 and z.shape[1] == 1)
    rule = f"{who}: the model must return one number an input, (B,) or (B, 1)"
    require(one, rule, z, f"model = xnb.adapters.label({choose_place(z)}, 0)  # one of several")
    return z.unsqueeze(1) if z.ndim == 1 else z


def _read_table(out: Any, who: str) -> Logits:
    """What a model with several numbers an input returns, as `(B, K)`."""
    every = find_logits(out)
    require(every.ndim == 2, f"{who}: the model must return (B, K)", every, f"model.model = {choose_place(every)}")
    return every


def choose_place(out: Tensor) -> str:
    """What makes `(B, K)` of the output of the model within an adapter, by the number of its axes."""
    if out.ndim < 2:
        return "xnb.adapters.two_classes(model.model)  # one logit an input; classes 0 and 1"
    if out.ndim == 2:
        return "model.model"
    if out.ndim == 3:
        return "xnb.adapters.step(model.model, 0)"
    middle = ", ".join(str(size // 2) for size in out.shape[2:])
    return f"xnb.adapters.pixel(model.model, {middle})"


def regression(model: Model) -> ModelWithHead:
    """Return the model of one number an input, `(B,)`, as `(B, 1)`: target 1 is the number, target 0 its negative."""
    return ModelWithHead(model, _Regression())


class _Regression(nn.Module):
    def forward(self, out: Any) -> Logits:
        return _read_number(out, "regression")


def label(model: Model, k: int) -> ModelWithHead:
    """Return the model of many labels `(B, K)` with the logit of label `k` alone, `(B, 1)`.

    Target 1 explains that the label is there, target 0 that it is not. Its probability is the sigmoid of that one
    logit, so the evidence for other labels does not enter. Also one of several numbers that are predicted.
    """
    return ModelWithHead(model, _Label(k))


class _Label(nn.Module):
    def __init__(self, k: int) -> None:
        super().__init__()
        self.k = k

    def forward(self, out: Any) -> Logits:
        every = _read_table(out, "label")
        K = every.shape[1]
        hint = f"model = xnb.adapters.label(model.model, {K - 1})"
        require(0 <= self.k < K, f"label: a label in [0, {K})", self.k, hint)
        return every[:, self.k : self.k + 1]

    def extra_repr(self) -> str:
        return f"k={self.k}"


def contrast(model: Model, preferred: int, rival: int, *, of: int | None = None) -> ModelWithHead:
    """Return the model with one logit, by how much class `preferred` exceeds class `rival`: explain it with target 1.

    The difference is a linear layer behind the logits, so that rules see it. What speaks for both classes alike
    cancels.

    Args:
        of: how many classes there are, to be told at once where one is not among them; None waits for the first pass.

    Raises:
        ValueError: not two different classes in [0, `of`).
    """
    if of is None:
        of = max(preferred, rival) + 1
    _check_pair(preferred, rival, of)
    return ModelWithHead(model, _Difference(preferred, rival))


def _check_pair(preferred: int, rival: int, classes: int) -> None:
    different = preferred != rival and 0 <= preferred < classes and 0 <= rival < classes
    hint = "xnb.adapters.contrast(model, 0, 1)"
    require(different, f"contrast: two different classes in [0, {classes})", (preferred, rival), hint)


class _Difference(nn.Module):
    def __init__(self, preferred: int, rival: int) -> None:
        super().__init__()
        self.preferred = preferred
        self.rival = rival

    def forward(self, out: Any) -> Logits:
        every = _read_table(out, "contrast")
        _check_pair(self.preferred, self.rival, every.shape[1])
        weights = [0.0] * every.shape[1]
        weights[self.preferred] = 1.0
        weights[self.rival] = -1.0
        # a linear layer, and no subtraction written as a function: rules know what to do with it
        return F.linear(every, torch.tensor([weights], dtype=every.dtype, device=every.device))

    def extra_repr(self) -> str:
        return f"preferred={self.preferred}, rival={self.rival}"
