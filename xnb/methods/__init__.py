"""All methods share one signature, `method(model, x, target, *, knobs) -> Attribution`, and no state."""

from xnb.check import finite, require
from xnb.methods import (
    attention as attention,
    cam as cam,
    coalitions as coalitions,
    controls as controls,
    deep_lift as deep_lift,
    flow as flow,
    gradient as gradient,
    noise as noise,
    paths as paths,
    perturbation as perturbation,
    rules as rules,
    shapley as shapley,
    tokens as tokens,
)
from xnb.registry import find
from xnb.types import Attribution, Batch, Model, Target


def attribute(
    model: Model, x: Batch, target: Target, method: str = "integrated_gradients", **knobs: object
) -> Attribution:
    """Explain `model`'s logit for `target` at `x`: the result times `x` is always defined.

    Args:
        method: a name in `xnb.catalog()`.
        knobs: what the method itself takes, e.g. `steps=64`; `help(xnb.METHODS[name])` lists them.

    Raises:
        ValueError: unknown `method`, non-finite `x` or result, or anything `xnb.score.score` refuses.
    """
    function = find(method)
    require(finite(x), "attribute: x must be finite", x, "x = x.nan_to_num()")
    result = function(model, x, target, **knobs).detach()
    require(finite(result), f"{method}: attribution must be finite", result)
    return result
