"""Outputs of many forms as logits `(B, K)`: two classes of a model as one logit."""

import torch
from torch import nn

from xnb.check import refuse, require
from xnb.types import Model


def contrast(model: Model, label: int, rival: int, *, of: int) -> nn.Sequential:
    """Return the model with one logit, by how much class `label` exceeds class `rival`: explain it with target 1.

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
