"""The two calls of the front door: the attribution of one class by any method, and of every class at once."""

import torch
from torch import Tensor

from xnb.access.score import logits
from xnb.check import finite, require
from xnb.methods.registry import METHODS
from xnb.types import Attribution, Batch, Logits, Model, Target


def attribute(
    model: Model, x: Batch, target: Target, method: str = "integrated_gradients", **knobs: object
) -> Attribution:
    """Explain `model`'s logit for `target` at `x`: the result times `x` is always defined.

    Args:
        method: a name in `xnb.catalog()`.
        knobs: what the method itself takes, e.g. `steps=64`; `help(xnb.METHODS[name])` lists them.

    Raises:
        ValueError: unknown `method`, non-finite `x` or result, or anything `xnb.access.score.score` refuses.
    """
    function = METHODS.find(method)
    require(finite(x), "attribute: x must be finite", x, "x = x.nan_to_num()")
    result = function(model, x, target, **knobs).detach()
    require(finite(result), f"{method}: attribution must be finite", result)
    return result


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
    METHODS.find(method)
    classes = logits(model, x[:1]).shape[1]
    inputs = x.repeat_interleave(classes, 0)
    target = torch.arange(classes, device=x.device).repeat(len(x))
    once = _each_once(model) if METHODS.cards[method].needs == "forward" else model
    return attribute(once, inputs, target, method, **knobs).unflatten(0, (len(x), classes))


def _each_once(model: Model) -> Model:
    """The same function, which runs rows that follow each other and are equal once."""

    def run(x: Batch) -> Logits:
        _, back = torch.unique_consecutive(x.flatten(1), dim=0, return_inverse=True)
        first = torch.ones_like(back, dtype=torch.bool)
        first[1:] = back[1:] != back[:-1]
        return model(x[first])[back]

    return run
