"""The line to try of a refusal that names another method: one that the very model has an answer to."""

import torch
from torch import Tensor

from xnb.access.rows import select_rows
from xnb.check import is_refusal
from xnb.types import Batch, Model

FORWARD_ONLY = "xnb.attribute(model, x, target, 'feature_ablation')  # or another with needs == 'forward'"
_TRY = "\n  try: "


def suggest_method(model: Model, x: Batch, name: str, note: str = "") -> str:
    """Return the call of a method of gradients, or, where no gradient reaches x, of one that only runs the model.

    Args:
        name: of the method of gradients.
        note: what else may be done, or why this one; left out where the other method is named.
    """
    if not reaches_input(model, x):
        return FORWARD_ONLY
    line = f"xnb.attribute(model, x, target, {name!r})"
    return f"{line}  # {note}" if note else line


def reaches_input(model: Model, x: Batch) -> bool:
    """Return whether a gradient of what the model returns for the first input reaches that input: one pass and back.

    Of a model that fails, nothing is known against it.
    """
    leaf = x[:1].detach().requires_grad_()
    with torch.enable_grad(), select_rows(slice(1), len(x)):
        try:
            out = model(leaf.clone())
        except Exception:  # whoever runs it next raises it
            return True
        return out.requires_grad and _has_slope(out, leaf)


def _has_slope(out: Tensor, leaf: Batch) -> bool:
    try:
        (slope,) = torch.autograd.grad(out.sum(), leaf, allow_unused=True)
    except RuntimeError:  # a function without a derivative
        return False
    return slope is not None


class OtherMethod:
    """Around a pass that needs a gradient: where none reaches x, what is refused names a method that needs none."""

    def __init__(self, model: Model, x: Batch) -> None:
        self.model = model
        self.x = x

    def __enter__(self) -> None:
        pass

    def __exit__(self, kind: object, error: BaseException | None, trace: object) -> None:
        if error is None or not is_refusal(error) or reaches_input(self.model, self.x):
            return
        before, _, hint = str(error).partition(_TRY)
        if hint:
            error.args = (f"{before}{_TRY}{FORWARD_ONLY}",)
