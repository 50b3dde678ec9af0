"""Methods again, slowly: one input and one pass at a time, in double precision, from torch alone.

Nothing here is imported from `xnb`. An input is explained inside its batch, whose other rows stay as they are: whatever
else a model takes then meets the rows it belongs to.
"""

from itertools import combinations
from math import comb

import numpy as np
import torch
from torch.nn import functional as F
from torch.overrides import TorchFunctionMode


def make_scorer(model, x, target, i):
    """The score of input i as a function of that input alone."""

    def score(z):
        batch = torch.cat([x[:i], z[None], x[i + 1 :]])
        out = model(batch)[i]
        if len(out) == 1:
            return out[0] * (1 if target[i] == 1 else -1)
        return out[target[i]]

    return score


def slope(score, z):
    leaf = z.clone().requires_grad_()
    return torch.autograd.grad(score(leaf), leaf)[0]


def gradient(score, z, animal):
    return slope(score, z)


def gradient_times_input(score, z, animal):
    return z * slope(score, z)


def integrated_gradients(score, z, animal):
    nodes, weights = np.polynomial.legendre.leggauss(32)
    total = sum(w / 2 * slope(score, z * (t + 1) / 2) for t, w in zip(nodes, weights, strict=True))
    return z * total


def value_of(score, z, animal, members):
    """The score of what is left of an input when the regions that are not members are set to zero."""
    with torch.no_grad():
        kept = torch.isin(animal.regions(), torch.tensor(sorted(members), dtype=torch.long))
        return float(score(torch.where(kept, z, 0.0)))


def on_regions(animal, z, values):
    return torch.tensor(values, dtype=z.dtype)[animal.regions()].expand_as(z)


def feature_ablation(score, z, animal):
    everyone = {0, 1, 2, 3}
    whole = value_of(score, z, animal, everyone)
    return on_regions(animal, z, [whole - value_of(score, z, animal, everyone - {r}) for r in range(4)])


def exact_shapley(score, z, animal):
    """Shapley 1953: the mean gain of a region over all coalitions of the others, each size counting alike."""
    values = []
    for region in range(4):
        others = [r for r in range(4) if r != region]
        gains = 0.0
        for size in range(4):
            for coalition in combinations(others, size):
                without = value_of(score, z, animal, coalition)
                gains += (value_of(score, z, animal, (*coalition, region)) - without) / comb(3, size) / 4
        values.append(gains)
    return on_regions(animal, z, values)


@torch.no_grad()
def occlusion(score, z, animal):
    """Windows of two places along each axis, one place apart; a value gets the mean drop of the windows over it."""
    sizes = [z.shape[axis - 1] for axis in animal.places]
    total, count = torch.zeros(sizes, dtype=z.dtype), torch.zeros(sizes, dtype=z.dtype)
    whole = score(z)
    for corner in np.ndindex(*[size - 1 for size in sizes]):
        window = tuple(slice(start, start + 2) for start in corner)
        painted = z.clone()
        inner = dict(zip(animal.places, window, strict=True))
        painted[tuple(inner.get(axis, slice(None)) for axis in range(1, z.ndim + 1))] = 0
        total[window] += whole - score(painted)
        count[window] += 1
    shape = [z.shape[axis - 1] if axis in animal.places else 1 for axis in range(1, z.ndim + 1)]
    return (total / count).view(shape)


class GuidedReLU(torch.autograd.Function):
    """Springenberg et al. 2015: what is negative on the way back stops, as does what was negative on the way in."""

    @staticmethod
    def forward(ctx, x, guided, most):
        ctx.save_for_backward((x > 0) & (x < most))
        ctx.guided = guided
        return x.clamp(0, most)

    @staticmethod
    def backward(ctx, back):
        (is_open,) = ctx.saved_tensors
        back = back.clamp(min=0)
        return (back * is_open if ctx.guided else back), None, None


class ReplacedReLU(TorchFunctionMode):
    RELUS = frozenset((F.relu, F.relu_, torch.relu, torch.relu_, torch.Tensor.relu, torch.Tensor.relu_))

    def __init__(self, guided):
        super().__init__()
        self.guided = guided

    def __torch_function__(self, function, types, args=(), kwargs=None):
        if function in self.RELUS:
            return GuidedReLU.apply(args[0].clone(), self.guided, torch.inf)
        if function is F.hardtanh and (kwargs["min_val"], kwargs["max_val"]) == (0, 6):
            return GuidedReLU.apply(args[0].clone(), self.guided, 6.0)
        return function(*args, **(kwargs or {}))


def guided_backprop(score, z, animal):
    with ReplacedReLU(guided=True):
        return slope(score, z)


def deconvnet(score, z, animal):
    with ReplacedReLU(guided=False):
        return slope(score, z)


# Class activation maps, at the resolution of the layer: `maps` (D, *places) of the input and the slope there.


def mean_over_places(values):
    return values.flatten(1).mean(1).view(-1, *[1] * (values.ndim - 1))


def grad_cam(maps, back):
    return (mean_over_places(back) * maps).sum(0, keepdim=True).clamp(min=0)


def hires_cam(maps, back):
    return (back * maps).sum(0, keepdim=True).clamp(min=0)


def layer_cam(maps, back):
    return (back.clamp(min=0) * maps).sum(0, keepdim=True).clamp(min=0)


METHODS = {
    function.__name__: function
    for function in (
        gradient,
        gradient_times_input,
        integrated_gradients,
        feature_ablation,
        exact_shapley,
        occlusion,
        guided_backprop,
        deconvnet,
    )
}
CAMS = {function.__name__: function for function in (grad_cam, hires_cam, layer_cam)}


def maps_and_slope(model, x, target, animal):
    """What the layer returns for every input, and the slope of the summed scores there, `(B, D, *places)`."""
    kept = []

    def keep(module, args, out):
        kept.append(out.detach().requires_grad_())
        return kept[-1].clone()

    hook = model.get_submodule(animal.layer).register_forward_hook(keep)
    out = model(x)
    hook.remove()
    signed = torch.cat([-out, out], 1) if out.shape[1] == 1 else out
    (back,) = torch.autograd.grad(signed.gather(1, target[:, None]).sum(), kept[0])
    return animal.maps(kept[0].detach()), animal.maps(back)
