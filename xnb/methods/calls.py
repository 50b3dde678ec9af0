"""The package's two main calls: the attribution of one class by any method, and of every class at once."""

import torch
from torch import Tensor

from xnb.access.rows import select_rows
from xnb.access.score import logits
from xnb.access.targets import read_target
from xnb.check import is_finite, require
from xnb.methods.registry import METHODS
from xnb.types import Attribution, Batch, Logits, Model, TargetLike


def attribute(
    model: Model,
    x: Batch,
    target: TargetLike,
    method: str = "integrated_gradients",
    **knobs: object,
) -> Attribution:
    """Explain `model`'s logit for `target` at `x`: the result times `x` is always defined.

    Args:
        target: a class for each input, or one for all. A model of one logit z has two classes: z for 1, -z for 0.
        method: a name in `xnb.catalog()`.
        knobs: what the method itself takes, e.g. `steps=64`; `help(xnb.METHODS[name])` lists them.

    Raises:
        ValueError: unknown `method`, non-finite `x` or result, or anything `xnb.access.score.score` refuses.
    """
    function = METHODS.find(method)
    require(is_finite(x), "attribute: x must be finite", x, "x = x.nan_to_num()")
    result = function(model, x, read_target(target, x), **knobs).detach()
    require(is_finite(result), f"{method}: attribution must be finite", result)
    return result


def attribute_all(model: Model, x: Batch, method: str = "integrated_gradients", **knobs: object) -> Tensor:
    """The results of `attribute` for every class, from one call: `(B, K, *shape)`, or 1 on axes that values share.

    A method that only runs the model forward does so once for all classes, as every pass returns all logits: K classes
    then cost what one costs. A method of gradients runs K times as many inputs.

    Args:
        method: a name in `xnb.catalog()`.
        knobs: what the method itself takes.

    Raises:
        ValueError: as `attribute`.
    """
    METHODS.find(method)
    with select_rows(slice(1), len(x)):
        classes = max(2, logits(model, x[:1]).shape[1])  # one logit speaks for class 1 and against class 0
    rows = torch.arange(len(x)).repeat_interleave(classes)
    target = torch.arange(classes, device=x.device).repeat(len(x))
    forward_only = METHODS.cards[method].needs == "forward"
    model = _skip_repeats(model) if forward_only else model
    with select_rows(rows, len(x)):
        attribution = attribute(model, x[rows.to(x.device)], target, method, **knobs)
    return attribution.unflatten(0, (len(x), classes))


def _skip_repeats(model: Model) -> Model:
    """The same function of its inputs, which runs equal neighbours in a batch only once."""

    def run(x: Batch) -> Logits:
        _, back = torch.unique_consecutive(x.flatten(1), dim=0, return_inverse=True)
        first = torch.ones_like(back, dtype=torch.bool)
        first[1:] = back[1:] != back[:-1]
        with select_rows(first, len(x)):
            return model(x[first])[back]

    return run
