"""Attributions of all classes at once."""

import torch
from torch import Tensor

from xnb.methods import attribute
from xnb.registry import CARDS, find
from xnb.score import logits
from xnb.types import Batch, Logits, Model


def attribute_all(model: Model, x: Batch, method: str = "integrated_gradients", **knobs: object) -> Tensor:
    """What `attribute` answers for every class, in one call: `(B, K, *shape)`, or 1 on axes that are shared.

    A method that only runs the model forward asks once for all classes, as every pass returns all logits: K classes
    then cost what one costs. A method of slopes runs K times as many inputs.

    Args:
        method: a name in `xnb.catalog()`.
        knobs: what the method itself takes.

    Raises:
        ValueError: as `attribute`.
    """
    find(method)
    classes = logits(model, x[:1]).shape[1]
    inputs = x.repeat_interleave(classes, 0)
    target = torch.arange(classes, device=x.device).repeat(len(x))
    once = _each_once(model) if CARDS[method].needs == "forward" else model
    return attribute(once, inputs, target, method, **knobs).unflatten(0, (len(x), classes))


def _each_once(model: Model) -> Model:
    """The same function, which runs rows that follow each other and are equal once."""

    def run(x: Batch) -> Logits:
        _, back = torch.unique_consecutive(x.flatten(1), dim=0, return_inverse=True)
        first = torch.ones_like(back, dtype=torch.bool)
        first[1:] = back[1:] != back[:-1]
        return model(x[first])[back]

    return run
