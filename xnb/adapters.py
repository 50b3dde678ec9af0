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
    """Return an `explain_func` for Quantus that explains with `method`; Quantus' own keyword arguments are ignored."""

    def explain_func(model: nn.Module, inputs: Any, targets: Any, **ignored: object) -> np.ndarray:
        # Quantus passes arrays, of another type or on another device than the model.
        like = next(model.parameters(), torch.empty(0))
        x = torch.as_tensor(inputs, dtype=like.dtype, device=like.device)
        target = torch.as_tensor(targets, device=like.device).long()
        attribution = attribute(model, x, target, method, **knobs)
        # Quantus wants the input's shape; a method may return one map for all channels.
        return attribution.expand_as(x).cpu().numpy()

    return explain_func


def from_captum(captum_class: Callable[[Model], Any], **knobs: object) -> Callable[..., Attribution]:
    """Return a method of ours that calls Captum, e.g. `from_captum(captum.attr.Saliency, abs=False)`.

    Args:
        captum_class: made of the model at each call.
        knobs: keyword arguments of its `attribute`.
    """

    def method(model: Model, x: Batch, target: Target) -> Attribution:
        with torch.enable_grad():
            explainer = captum_class(model)
            attribution = explainer.attribute(x.clone().requires_grad_(), target=target, **knobs)
        return attribution.detach().to(x.dtype)

    return method


def contrast(model: Model, label: int, rival: int, *, of: int) -> nn.Sequential:
    """Return the model with one logit, by how much class `label` exceeds class `rival`: explain it with target 0.

    The difference is a linear layer behind the `of` logits, so that rules and hooks see it. What speaks for both
    classes alike cancels.

    Raises:
        ValueError: not two different classes in [0, `of`), or a model that is no module.
    """
    different = 0 <= label < of and 0 <= rival < of and label != rival
    hint = f"contrast(model, 0, 1, of={of})"
    require(different, f"contrast: two different classes in [0, {of})", (label, rival), hint)
    if not isinstance(model, nn.Module):
        refuse("contrast: the model must be a module", model, "class Net(nn.Module): ...")
    # A module with a weight, and no subtraction written as a function: rules and hooks know what to do with it.
    like = next(model.parameters(), torch.zeros(1))
    # Without its own random weights, which would move the random numbers of the process on.
    difference = nn.utils.skip_init(nn.Linear, of, 1, bias=False, device=like.device, dtype=like.dtype)
    with torch.no_grad():
        difference.weight.zero_()
        difference.weight[0, label] = 1
        difference.weight[0, rival] = -1
    both = nn.Sequential(model, difference.eval())
    # Not `both.eval()`: it would switch the model, and one in training mode is to be refused, not changed.
    both.training = model.training
    return both
