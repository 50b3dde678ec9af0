"""Our methods for Quantus, and Captum's classes as methods of ours.

Neither library is imported here.
"""

from collections.abc import Callable
from typing import Any

import numpy as np
import torch
from torch import nn

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
