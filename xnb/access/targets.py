"""Which number of a model's output is explained: the logit of one class for each input."""

import torch
from jaxtyping import Int
from torch import Tensor

from xnb.check import refuse, require
from xnb.types import Batch, Logits, Scores, Target


def read_target(target: object, x: Batch) -> Target:
    """The target as one class index per input: of one number, every input's; a list or an array as a tensor.

    Raises:
        ValueError: not whole numbers, or not one of them per input.
    """
    B = len(x)
    example = f"target = torch.full(({B},), 0)"
    try:
        classes = torch.as_tensor(target, device=x.device)
    except (TypeError, ValueError, RuntimeError):
        refuse(f"score: target must be one class index per input, integer ({B},)", target, example)
    if not classes.numel():
        classes = classes.long()  # an empty list says nothing of its kind
    whole = not classes.is_floating_point() and not classes.is_complex() and classes.dtype != torch.bool
    hint = _suggest_whole(classes) or example
    require(whole, "score: target must hold class indices, whole numbers", target, hint)
    classes = classes.long()  # small kinds of whole numbers overflow, and torch takes them for masks
    if classes.ndim == 0:
        return classes.expand(B)
    hint = _suggest_flat(classes, B) or example
    require(classes.shape == (B,), f"score: target must have one entry per input ({B},)", target, hint)
    return classes


def _suggest_whole(classes: Tensor) -> str:
    """The line that makes class indices of floats which are whole."""
    if not classes.is_floating_point() or classes.ndim > 1 or bool((classes != classes.floor()).any()):
        return ""
    return "target = torch.as_tensor(target).long()"


def _suggest_flat(classes: Tensor, count: int) -> str:
    """The line that takes an axis of one away, or reads the class from a row of zeros with a single one."""
    if classes.numel() == count:
        return "target = torch.as_tensor(target).flatten()"
    one_hot = classes.ndim == 2 and len(classes) == count and bool(((classes != 0).sum(1) == 1).all())
    return "target = torch.as_tensor(target).argmax(1)" if one_hot else ""


def target_logit(out: Logits, target: Target) -> Scores:
    """Logit of each input's target class; of one logit z, a model of two classes, z for class 1 and -z for class 0."""
    if out.shape[1] == 1:
        return out.squeeze(1) * _read_sign(out, target)
    return out.gather(1, _read_column(out, target)).squeeze(1)


def predict_class(out: Logits) -> Target:
    """The class that the logits speak for: the largest, or of one logit 1 where it is positive."""
    if out.shape[1] == 1:
        return (out > 0).long().squeeze(1)
    return out.argmax(1)


def _read_sign(out: Logits, target: Target) -> Scores:
    """1 for class 1 and -1 for class 0."""
    _check_target(out, target)
    return 2 * target.to(out) - 1


def _read_column(out: Logits, target: Target) -> Int[Tensor, "B 1"]:
    """Column in which the logit of each input's target class stands."""
    _check_target(out, target)
    return target.unsqueeze(1).long()


def _check_target(out: Logits, target: Target) -> None:
    """Refuse a target that is not one class of the model for each input."""
    B, K = out.shape
    hint = "target = (model(x) > 0).long().squeeze(1)" if K == 1 else "target = model(x).argmax(1)"
    integer = not target.is_floating_point() and target.dtype != torch.bool
    rule = f"score: target must be one class index per input, integer ({B},)"
    require(target.shape == (B,) and integer, rule, target, hint)
    classes = max(K, 2)
    if B:
        low, high = map(int, target.aminmax())
        if low < 0 or high >= classes:  # on CUDA a bad index would kill the kernel
            refuse(f"score: target must lie in [0, {classes})", target.tolist(), hint)


def score_weights(out: Logits, target: Target) -> Logits:
    """Weights with which the sum of the logits is the sum of the scores."""
    if out.shape[1] == 1:
        return _read_sign(out, target).unsqueeze(1)
    return torch.zeros_like(out).scatter_(1, _read_column(out, target), 1)
