"""Our methods for Quantus, Captum's classes as methods of ours, and two classes of a model as one logit.

Neither library is imported here.
"""

from collections.abc import Callable
from typing import Any

import numpy as np
import torch
from torch import nn

from xnb.check import refuse, require
from xnb.methods import attribute
from xnb.types import Attribution, Batch, Model, Target


def for_quantus(method: str, **knobs: object) -> Callable[..., np.ndarray]:
    """`explain_func` of a Quantus metric that explains with `method`; Quantus' own keyword arguments are ignored."""

    def explain_func(model: nn.Module, inputs: Any, targets: Any, **ignored: object) -> np.ndarray:
        like = next(model.parameters(), torch.empty(0))
        x = torch.as_tensor(inputs, dtype=like.dtype, device=like.device)
        target = torch.as_tensor(targets, device=like.device).long()
        return attribute(model, x, target, method, **knobs).expand_as(x).cpu().numpy()

    return explain_func


def from_captum(attribution: Callable[[Model], Any], **knobs: object) -> Callable[..., Attribution]:
    """A method of ours that asks Captum: `from_captum(captum.attr.Saliency, abs=False)`, with knobs of `.attribute`."""

    def method(model: Model, x: Batch, target: Target) -> Attribution:
        with torch.enable_grad():
            return attribution(model).attribute(x.clone().requires_grad_(), target=target, **knobs).detach().to(x.dtype)

    return method


def contrast(model: Model, one: int, other: int, *, of: int) -> nn.Sequential:
    """Return the model with one logit, by how much class `one` exceeds class `other`: explain it with target 0.

    The difference is a linear layer behind the `of` logits, so that rules and hooks see it. What speaks for both
    classes alike cancels.

    Raises:
        ValueError: not two different classes in [0, `of`), or a model that is no module.
    """
    different = 0 <= one < of and 0 <= other < of and one != other
    require(different, f"contrast: two different classes in [0, {of})", (one, other), f"contrast(model, 0, 1, of={of})")
    if not isinstance(model, nn.Module):
        refuse("contrast: the model must be a module", model, "class Net(nn.Module): ...")
    like = next(model.parameters(), torch.zeros(1))
    difference = nn.Linear(of, 1, bias=False, device=like.device, dtype=like.dtype)
    weight = torch.zeros(1, of)
    weight[0, one] = 1
    weight[0, other] = -1
    difference.weight.data.copy_(weight)
    return nn.Sequential(model, difference).eval()
