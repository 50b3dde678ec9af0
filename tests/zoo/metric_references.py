"""Metrics again, slowly: one input and one removal at a time, in double precision, by the formulas of their papers.

Nothing here is imported from `xnb`. A map has no two units of the same value, so that no order among equals matters.
"""

from itertools import pairwise
from math import exp, log

import numpy as np
import torch
from scipy.stats import spearmanr

STEPS = 6


def sum_units(values, animal):
    """One number a unit: what lies at one place, all channels, is summed."""
    inner = [axis - 1 for axis in range(1, values.ndim + 1) if axis not in animal.units]
    return (values.sum(inner) if inner else values).flatten().tolist()


def remove(z, animal, numbers, filling):
    """The input with some units, by their number in reading order, replaced by the filling."""
    sizes = [z.shape[axis - 1] if axis in animal.units else 1 for axis in range(1, z.ndim + 1)]
    removed = torch.zeros(sizes, dtype=torch.bool)
    removed.view(-1)[list(numbers)] = True
    return torch.where(removed, filling, z)


def average_places(z, animal):
    """The input's own mean of each channel; of features and instances zero, their mean after standardisation."""
    if animal.units == (1,):
        return torch.zeros_like(z)
    return z.mean([axis - 1 for axis in animal.units], keepdim=True).expand_as(z)


def blur(z, animal):
    """Under a Gaussian of a twelfth of each side, cut at three deviations, mirrored at the border."""
    for axis in animal.units:
        length = z.shape[axis - 1]
        reach = min(round(length / 4), length - 1)
        weights = [exp(-(k**2) / 2 / (length / 12) ** 2) for k in range(-reach, reach + 1)]
        lines = z.movedim(axis - 1, 0)
        blurred = []
        for i in range(length):
            inside = [abs(i + k) if i + k < length else 2 * length - 2 - i - k for k in range(-reach, reach + 1)]
            blurred.append(sum(w * lines[j] for w, j in zip(weights, inside, strict=True)) / sum(weights))
        z = torch.stack(blurred).movedim(0, axis - 1)
    return z


def measure_curve(read, z, a, animal, filling, most_first):
    """What is read after no, one sixth, ... all of the units are removed, by their rank."""
    values = sum_units(a, animal)
    order = sorted(range(len(values)), key=lambda i: -values[i] if most_first else values[i])
    steps = min(STEPS, len(order))
    counts = [int(np.round(np.float32(len(order)) * k / steps)) for k in range(steps + 1)]
    return [read(remove(z, animal, order[:count], filling)) for count in counts]


def mean_height(curve):
    return sum((one + other) / 2 for one, other in pairwise(curve)) / (len(curve) - 1)


def deletion(game, z, a, animal):
    return mean_height(measure_curve(game.probability, z, a, animal, torch.zeros_like(z), most_first=True))


def insertion(game, z, a, animal):
    filling = torch.zeros_like(z) if animal.units == (1,) else blur(z, animal)
    return mean_height(measure_curve(game.probability, z, a, animal, filling, most_first=False))


def morf(game, z, a, animal):
    return game.score(z) - mean_height(measure_curve(game.score, z, a, animal, average_places(z, animal), True))


def lerf(game, z, a, animal):
    return game.score(z) - mean_height(measure_curve(game.score, z, a, animal, average_places(z, animal), False))


def srg(game, z, a, animal):
    return morf(game, z, a, animal) - lerf(game, z, a, animal)


def single_deletion(game, z, a, animal):
    """Two pieces along each axis of places; each feature or instance is a part."""
    sizes = [z.shape[axis - 1] for axis in animal.units]
    parts = {}
    for number, place in enumerate(np.ndindex(*sizes)):
        halves = tuple(2 * i // size for i, size in zip(place, sizes, strict=True))
        parts.setdefault(place if animal.units == (1,) else halves, []).append(number)
    values = sum_units(a, animal)
    zeros = torch.zeros_like(z)
    drops = [game.score(z) - game.score(remove(z, animal, numbers, zeros)) for numbers in parts.values()]
    return float(spearmanr([sum(values[i] for i in numbers) for numbers in parts.values()], drops).statistic)


def completeness_gap(game, z, a, animal):
    return abs(float(a.sum()) - (game.score(z) - game.score(torch.zeros_like(z))))


def sparseness(game, z, a, animal):
    """The mean difference of all pairs of magnitudes, by twice their mean: the Gini index."""
    magnitudes = [abs(value) for value in sum_units(a, animal)]
    pairs = sum(abs(one - other) for one in magnitudes for other in magnitudes)
    return pairs / (2 * len(magnitudes) * sum(magnitudes))


def entropy(game, z, a, animal):
    magnitudes = [abs(value) for value in sum_units(a, animal)]
    return -sum(m / sum(magnitudes) * log(m / sum(magnitudes)) for m in magnitudes)


def split_units(a, animal):
    """The values of a map inside the mask, and those outside."""
    values = sum_units(a, animal)
    inside = animal.masks(1).flatten().tolist()
    pairs = list(zip(values, inside, strict=True))
    return [value for value, is_in in pairs if is_in], [value for value, is_in in pairs if not is_in]


def pointing_game(game, z, a, animal):
    inside, outside = split_units(a, animal)
    return float(max(inside) > max(outside))


def energy_pointing(game, z, a, animal):
    inside, outside = (sum(max(value, 0) for value in part) for part in split_units(a, animal))
    if inside + outside == 0:  # as a constant map
        return float(animal.masks(1).double().mean())
    return inside / (inside + outside)


def relevance_mass(game, z, a, animal):
    inside, outside = (sum(abs(value) for value in part) for part in split_units(a, animal))
    return inside / (inside + outside)


def relevance_rank(game, z, a, animal):
    inside, outside = split_units(a, animal)
    top = sorted(inside + outside)[-len(inside) :]
    return sum(value >= top[0] for value in inside) / len(inside)


def auc(game, z, a, animal):
    inside, outside = split_units(a, animal)
    return sum(one > other for one in inside for other in outside) / len(inside) / len(outside)


METRICS = {
    function.__name__: function
    for function in (
        deletion,
        insertion,
        morf,
        lerf,
        srg,
        single_deletion,
        completeness_gap,
        sparseness,
        entropy,
        pointing_game,
        energy_pointing,
        relevance_mass,
        relevance_rank,
        auc,
    )
}


class Game:
    """What may be asked of a model about one input of a batch, whose other rows stay as they are."""

    def __init__(self, model, x, target, i):
        self.model = model
        self.x = x
        self.i = i
        self.of_class = int(target[i])

    @torch.no_grad()
    def logits(self, z):
        out = self.model(torch.cat([self.x[: self.i], z[None], self.x[self.i + 1 :]]))[self.i]
        return [-float(out[0]), float(out[0])] if len(out) == 1 else out.tolist()

    def score(self, z):
        return self.logits(z)[self.of_class]

    def probability(self, z):
        """By softmax; of one logit by the sigmoid of it, or of its negative."""
        every = self.logits(z)
        if self.model_has_one_logit:
            return 1 / (1 + exp(-every[self.of_class]))
        return exp(every[self.of_class]) / sum(exp(value) for value in every)

    def predict(self, z):
        return int(np.argmax(self.logits(z)))

    @property
    def model_has_one_logit(self):
        return self.model(self.x).shape[1] == 1


def max_sensitivity(maps, own):
    """The largest distance of a neighbour's map from the input's own, by the length of that one (Yeh et al. 2019)."""
    return max(float((other - own).norm() / own.norm()) for other in maps)


def mprt(maps, own, animal):
    """The mean of Spearman's correlation with the maps of models whose layers are random (Adebayo et al. 2018)."""
    mine = sum_units(own, animal)
    return float(np.mean([spearmanr(mine, sum_units(other, animal)).statistic for other in maps]))
