"""Our methods for Quantus, and Captum's classes as methods of ours. Neither library is imported here."""

from collections.abc import Callable
from typing import Any

import numpy as np
import torch

from xnb.methods import attribute
from xnb.types import Attribution, Batch, Model, Target


def for_quantus(method: str, **knobs: object) -> Callable[..., np.ndarray]:
    """`explain_func` of a Quantus metric that explains with `method`; Quantus' own keyword arguments are ignored."""

    def explain_func(model: Model, inputs: Any, targets: Any, **ignored: object) -> np.ndarray:
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
